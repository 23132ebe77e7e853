"""Names and config keys of other toolboxes, with the restorebox equivalents.

Configs written for MMagic, MMEditing, MMEngine, mmcv, BasicSR or the CycleGAN and CUT repositories use component names
and keys that restorebox does not have. Error messages then name the equivalent. See also docs/coming_from.md.
"""

from __future__ import annotations

# config key -> name in the other toolbox -> equivalent in restorebox
ALIASES_AT: dict[str, dict[str, str]] = {
    'dataset': {
        'PairedImageDataset': "'PairedPictures'",
        'AlignedDataset': "'PairedPictures' with pairing='side_by_side'",
        'UnalignedDataset': "'UnpairedPictures'",
        'UnpairedImageDataset': "'UnpairedPictures'",
        'UnpairedDataset': "'UnpairedPictures'",
        'BasicImageDataset': "'PairedPictures' or 'UnpairedPictures'",
        'SingleImageDataset': "'PairedPictures' with a 'Degrade', or `restorebox restore` for pictures without gt",
        'BaseDataset': "'PairedPictures', 'UnpairedPictures' or a class derived from BasePictures (add_a_method.md)",
        'ImageFolder': "'UnpairedPictures', or 'PairedPictures' with a 'Degrade' for clean pictures alone",
    },
    'sampler': {
        'IterBasedSampler': "'KeyedSampler'",
        'EnlargedSampler': "'KeyedSampler', which has no end",
    },
    'pipeline': {
        'LoadImageFromFile': "'LoadPictures' reads all roles of a sample",
        'LoadImageFromFileList': "'LoadPictures' reads all roles of a sample",
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
    },
    'model': {
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
    },
    'data_preprocessor': {
        'DataPreprocessor': "'RestorationPreprocessor'",
        'EditDataPreprocessor': "'RestorationPreprocessor'",
    },
    'backbone': {
        'UnetGenerator': "the backbone 'UNet' with the head 'PictureHead'",
        'ResnetGenerator': "the backbone 'ResNetGenerator' with the head 'PictureHead'",
        'NLayerDiscriminator': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
        'PixelDiscriminator': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
        'UNetDiscriminatorSN': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
        'VGGStyleDiscriminator': "the backbone 'PatchDiscriminator' with the head 'RealnessHead'",
    },
    'head': {
        'PatchSampleF': "the head 'ProjectionHead'",
        'PixelShufflePack': "the head 'SubPixelHead'",
    },
    'losses': {
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
        'ContrastLoss': "'ContrastiveRegularisation'",
        'CLIPLoss': "'SemanticLoss' with the encoder 'CLIPVisual'",
        'NCELoss': "'PatchNCELoss'",
    },
    'val_evaluator': {
        'PSNR': "'PictureScores' with protocols=('psnr_y',) or ('psnr_rgb',)",
        'SSIM': "'PictureScores' with protocols=('ssim_y',) or ('ssim_rgb',)",
        'calculate_psnr': "'PictureScores' with protocols=('psnr_y',) or ('psnr_rgb',)",
        'calculate_ssim': "'PictureScores' with protocols=('ssim_y',) or ('ssim_rgb',)",
        'LPIPS': "'PictureScores' with protocols=('lpips_alex',)",
        'MAE': "nothing of that name: the scores are the protocols of 'PictureScores', see docs/measuring.md",
        'MSE': "nothing of that name: 'PictureScores' has psnr_rgb, which is its logarithm",
        'FrechetInceptionDistance': "'FID'",
    },
    'train_cfg': {
        'IterBasedRunner': "'SampleTrainLoop' as train_cfg",
        'EpochBasedRunner': "'SampleTrainLoop' as train_cfg",
    },
    'val_cfg': {
        'MultiValLoop': "'RestorationValLoop'",
    },
    'test_cfg': {
        'MultiTestLoop': "'RestorationTestLoop'",
    },
    'custom_hooks': {
        'ExponentialMovingAverageHook': "'RoleEMAHook'",
        'BasicVisualizationHook': "'ComparisonSheetHook'",
        'VisualizationHook': "'ComparisonSheetHook'",
    },
    'visualizer': {
        'ConcatImageVisualizer': "'ComparisonSheetHook'",
    },
}
ALIASES = {name: ours for names in ALIASES_AT.values() for name, ours in names.items()}

# keys of a BasicSR options file -> restorebox keys, with a remark in brackets
BASICSR_KEYS: dict[str, str] = {
    'name': 'work_dir',
    'model_type': 'model.type',
    'manual_seed': 'randomness.seed',
    'datasets': 'train_dataloader (and val_dataloader, test_dataloader)',
    'datasets.train.type': 'train_dataloader.dataset.type',
    'datasets.train.dataroot_lq': 'train_dataloader.dataset.lq (a folder in data_root/split)',
    'datasets.train.dataroot_gt': 'train_dataloader.dataset.gt (a folder in data_root/split)',
    'datasets.train.filename_tmpl': "train_dataloader.dataset.template (with pairing='template')",
    'datasets.train.meta_info_file': "train_dataloader.dataset.list_file (with pairing='list_file')",
    'datasets.train.gt_size': "train_dataloader.dataset.pipeline (dict(type='RandomWindow', size=N))",
    'datasets.train.use_hflip': "train_dataloader.dataset.pipeline (dict(type='Flip', p=0.5))",
    'datasets.train.use_rot': "train_dataloader.dataset.pipeline (dict(type='Rotate90', p=0.5))",
    'datasets.train.use_shuffle': 'train_dataloader.sampler.shuffle',
    'datasets.train.batch_size_per_gpu': 'train_dataloader.batch_size',
    'datasets.train.num_worker_per_gpu': 'train_dataloader.num_workers',
    'datasets.val': 'val_dataloader',
    'network_g': 'model.generator (dict(backbone=..., head=...))',
    'network_d': 'model.discriminator (of a restorer that has one)',
    'path': 'load_from',
    'path.pretrain_network_g': 'load_from',
    'path.resume_state': 'resume (True: from the newest checkpoint of the work directory)',
    'train': 'train_cfg',
    'train.total_iter': 'train_cfg.max_samples (steps x batch x ranks)',
    'train.ema_decay': 'default_hooks.ema.decay',
    'train.optim_g': 'optim_wrapper.optimizer',
    'train.scheduler': 'param_scheduler (numbers are samples)',
    'train.warmup_iter': 'param_scheduler (LinearLR with end=SAMPLES, in front of the others)',
    'train.pixel_opt': "model.losses (dict(l1=dict(type='L1Loss', weight=1.0)))",
    'train.perceptual_opt': "model.losses (dict(vgg=dict(type='PerceptualLoss')))",
    'train.gan_opt': 'model.gan_mode (of a restorer that has a discriminator)',
    'val': 'val_evaluator',
    'val.val_freq': 'train_cfg.val_samples',
    'val.metrics': "val_evaluator (dict(type='PictureScores', protocols=('psnr_y', 'ssim_y')))",
    'val.save_img': 'default_hooks.sheets',
    'logger': 'default_hooks.logger',
    'logger.print_freq': 'default_hooks.logger.interval (steps)',
    'logger.save_checkpoint_freq': 'default_hooks.checkpoint.every_samples',
    'logger.use_tb_logger': "visualizer.vis_backends (dict(type='TensorboardVisBackend'))",
    'dist_params': 'env_cfg.dist_cfg',
}

# top-level keys of configs older than MMEngine (MMEditing and others) -> restorebox keys
OPENMMLAB_KEYS: dict[str, str] = {
    'data': 'train_dataloader (and val_dataloader, test_dataloader)',
    'train_pipeline': 'train_dataloader.dataset.pipeline',
    'test_pipeline': 'test_dataloader.dataset.pipeline',
    'optimizer': 'optim_wrapper.optimizer',
    'optimizers': 'optim_wrapper (RoleOptimWrapperConstructor and an optimiser for each step)',
    'optimizer_config': 'optim_wrapper.clip_grad',
    'lr_config': 'param_scheduler (numbers are samples)',
    'runner': 'train_cfg',
    'total_iters': 'train_cfg.max_samples (steps x batch x ranks)',
    'evaluation': 'train_cfg.val_samples',
    'checkpoint_config': 'default_hooks.checkpoint',
    'log_config': 'default_hooks.logger',
    'resume_from': 'resume (True: from the newest checkpoint of the work directory)',
    'cudnn_benchmark': 'env_cfg.cudnn_benchmark',
}
KEYS = {**BASICSR_KEYS, **OPENMMLAB_KEYS}


def alias(name: str) -> str | None:
    """Return the equivalent of another toolbox's component, worded as the end of a message; None if unknown."""
    return ALIASES.get(name)


def key_alias(key: str) -> str | None:
    """Return the equivalent of a config key of another toolbox; None if unknown."""
    return KEYS.get(key)
