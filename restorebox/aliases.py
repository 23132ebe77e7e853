"""Names of other toolboxes, and what does the same work here.

A config that was written for MMagic, MMEngine, mmcv, BasicSR or the CycleGAN and CUT repositories names components that
no registry of ours has. The error says ours.
"""

from __future__ import annotations

ALIASES: dict[str, str] = {
    # reading, data sets
    'LoadImageFromFile': "'LoadPictures' reads all roles of a sample",
    'LoadImageFromFileList': "'LoadPictures' reads all roles of a sample",
    'PairedImageDataset': "'PairedPictures'",
    'AlignedDataset': "'PairedPictures' with pairing='side_by_side'",
    'UnalignedDataset': "'UnpairedPictures'",
    'UnpairedImageDataset': "'UnpairedPictures'",
    'UnpairedDataset': "'UnpairedPictures'",
    'BasicImageDataset': "'PairedPictures' or 'UnpairedPictures'",
    'SingleImageDataset': "'PairedPictures' with a 'Degrade', or `restorebox restore` for pictures without partners",
    'BaseDataset': "'PairedPictures', 'UnpairedPictures' or a class derived from BasePictures (docs/add_a_method.md)",
    'ImageFolder': "'UnpairedPictures', or 'PairedPictures' with a 'Degrade' for clean pictures alone",
    'IterBasedSampler': "'KeyedSampler'",
    'EnlargedSampler': "'KeyedSampler', which has no end",
    # transforms
    'RandomCrop': "'RandomWindow'",
    'PairedRandomCrop': "'RandomWindow', which cuts all roles alike",
    'CenterCrop': "'CentreWindow'",
    'CentreCrop': "'CentreWindow'",
    'ModCrop': "nothing in its place: pictures are padded to the network's stride and cropped back",
    'RandomFlip': "'Flip'",
    'RandomHorizontalFlip': "'Flip'",
    'RandomTransposeHW': "'Rotate90'",
    'RandomRotation': "'Rotate90'",
    'RandomResize': "'Resize'",
    'Normalize': "nothing in its place: a restorer maps [0, 1] into its network's value range",
    'RescaleToZeroOne': "nothing in its place: a restorer maps [0, 1] into its network's value range",
    'ImageToTensor': "'Pack'",
    'ToTensor': "'Pack'",
    'Collect': "'Pack'",
    'PackInputs': "'Pack'",
    'PackEditInputs': "'Pack'",
    'Pad': "nothing in its place: pictures are padded to the network's stride and cropped back",
    'RandomJPEGCompression': "'Degrade' with the recipe 'JPEG'",
    'RandomNoise': "'Degrade' with the recipe 'GaussianNoise' or 'PoissonNoise'",
    'RandomBlur': "'Degrade' with the recipe 'GaussianBlur' or 'MotionBlur'",
    'DegradationsWithShuffle': "'Degrade' with the recipe 'OneOf' or 'Compose'",
    # models
    'CycleGAN': "'CycleRestorer', see configs/cyclegan",
    'CycleGANModel': "'CycleRestorer', see configs/cyclegan",
    'CUTModel': "'CycleRestorer' with directions=1, see configs/cut",
    'Pix2Pix': "'AdversarialRestorer', see configs/infoaccum",
    'Pix2PixModel': "'AdversarialRestorer', see configs/infoaccum",
    'SRModel': "'SupervisedRestorer'",
    'ImageRestorationModel': "'SupervisedRestorer'",
    'BaseEditModel': "'SupervisedRestorer'",
    'SRGAN': "'AdversarialRestorer'",
    'SRGANModel': "'AdversarialRestorer'",
    'ESRGAN': "'AdversarialRestorer'",
    'DDPM': "'DiffusionRestorer'",
    'GaussianDiffusion': "'DiffusionRestorer'",
    'DataPreprocessor': "'RestorationPreprocessor'",
    'EditDataPreprocessor': "'RestorationPreprocessor'",
    # networks
    'UnetGenerator': "the backbone 'UNet' with the head 'PictureHead'",
    'ResnetGenerator': "the backbone 'ResNetGenerator' with the head 'PictureHead'",
    'NLayerDiscriminator': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
    'PixelDiscriminator': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
    'UNetDiscriminatorSN': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
    'VGGStyleDiscriminator': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
    'PatchSampleF': "the head 'ProjectionHead'",
    'PixelShufflePack': "the head 'SubPixelHead'",
    # losses
    'GANLoss': "'AdversarialLoss'",
    'HingeLoss': "'AdversarialLoss'",
    'PixelLoss': "'L1Loss', 'MSELoss' or 'CharbonnierLoss'",
    'SmoothL1Loss': "'CharbonnierLoss'",
    'VGGLoss': "'PerceptualLoss'",
    'PerceptualVGG': "'PerceptualLoss'",
    'SSIM_Loss': "'SSIMLoss'",
    'MS_SSIMLoss': "'SSIMLoss'",
    'EdgeLoss': "'GradientLoss'",
    'TVLoss': "nothing of that name: 'GradientLoss' compares the gradients of two pictures",
    'CLIPLoss': "'SemanticLoss' with the encoder 'CLIPVisual'",
    'NCELoss': "'PatchNCELoss'",
    # scores
    'PSNR': "'PictureScores' with protocols=('psnr_y',) or ('psnr_rgb',)",
    'SSIM': "'PictureScores' with protocols=('ssim_y',) or ('ssim_rgb',)",
    'calculate_psnr': "'PictureScores' with protocols=('psnr_y',) or ('psnr_rgb',)",
    'calculate_ssim': "'PictureScores' with protocols=('ssim_y',) or ('ssim_rgb',)",
    'LPIPS': "'PictureScores' with protocols=('lpips_alex',)",
    'MAE': "nothing of that name: the scores are the protocols of 'PictureScores', see docs/measuring.md",
    'MSE': "nothing of that name: 'PictureScores' has psnr_rgb, which is its logarithm",
    'FrechetInceptionDistance': "'FID'",
    # running
    'IterBasedRunner': "'SampleTrainLoop' as train_cfg",
    'EpochBasedRunner': "'SampleTrainLoop' as train_cfg",
    'MultiValLoop': "'RestorationValLoop'",
    'MultiTestLoop': "'RestorationTestLoop'",
    'ExponentialMovingAverageHook': "'RoleEMAHook'",
    'BasicVisualizationHook': "'ComparisonSheetHook'",
    'ConcatImageVisualizer': "'ComparisonSheetHook'",
    'VisualizationHook': "'ComparisonSheetHook'",
}


def alias(name: str) -> str | None:
    """What does here the work of another toolbox's component, as the end of a message; None for an unknown name."""
    return ALIASES.get(name)
