"""Where pictures come from: reading, pairing, keyed sampling, transforms, collation."""

from restorebox.datasets.base import BasePictures
from restorebox.datasets.collate import collate_roles
from restorebox.datasets.drawn import DrawnPictures, Night, ShrinkPictures
from restorebox.datasets.formats import PICTURE_SUFFIXES
from restorebox.datasets.keys import SampleKey
from restorebox.datasets.pictures import PairedPictures, UnpairedPictures
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.datasets.sampler import KeyedSampler
from restorebox.datasets.survey import RoundPicture, SurveyScene
from restorebox.datasets.transforms import (
    CentreWindow,
    CopyRole,
    Degrade,
    Flip,
    LoadPictures,
    Pack,
    RandomWindow,
    Resize,
    Rotate90,
)

__all__ = [
    'PICTURE_SUFFIXES',
    'BasePictures',
    'CentreWindow',
    'CopyRole',
    'Degrade',
    'DrawnPictures',
    'Flip',
    'KeyedSampler',
    'LoadPictures',
    'Night',
    'Pack',
    'PairedPictures',
    'RandomWindow',
    'Resize',
    'Rotate90',
    'RoundPicture',
    'SampleKey',
    'ShrinkPictures',
    'SurveyScene',
    'UnpairedPictures',
    'collate_roles',
    'list_pictures',
    'read_picture',
]
