# Table II, RainCityscapes (rain and fog): pix2pix.
_base_ = [
    '../_base_/models/pix2pix.py',
    '../_base_/datasets/rain_cityscapes.py',
    '../_base_/schedules/adam_pix2pix_200k.py',
]
crop = 512
model = dict(statistics_window=crop)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ]
    )
)
