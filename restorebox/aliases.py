"""Names and config keys of other toolboxes, with the restorebox equivalents.

Configs written for MMagic, MMEditing, MMEngine, mmcv, BasicSR or the CycleGAN and CUT repositories use component names
and keys that restorebox does not have. Error messages then name the equivalent. See also docs/coming_from.md.
"""

from __future__ import annotations

from collections.abc import Iterable

NOT_INCLUDED = 'nothing in its place: it is not included, see docs/coming_from.md'
# the networks under "What is missing" in docs/coming_from.md, by their class names in MMagic and BasicSR
NETWORKS_NOT_INCLUDED = (
    'RRDBNet',
    'MSRResNet',
    'SRCNNNet',
    'EDSR',
    'EDSRNet',
    'RCAN',
    'RDNNet',
    'SwinIR',
    'SwinIRNet',
    'BasicVSR',
    'BasicVSRNet',
    'BasicVSRPlusPlusNet',
    'EDVR',
    'EDVRNet',
    'MPRNet',
    'HINet',
    'MAXIM',
)

# config key -> name in the other toolbox -> equivalent in restorebox. Of MMEngine's own components, those that
# restorebox replaces: a registry refuses them, although its parent has them.
ALIASES_AT: dict[str, dict[str, str]] = {
    'dataset': {
        'PairedImageDataset': "'PairedPictures'",
        'AlignedDataset': "'PairedPictures' with pairing='side_by_side'",
        'UnalignedDataset': "'UnpairedPictures'",
        'UnpairedImageDataset': "'UnpairedPictures'",
        'UnpairedDataset': "'UnpairedPictures'",
        'BasicImageDataset': "'PairedPictures' or 'UnpairedPictures'",
        'SingleImageDataset': "'PairedPictures' with a 'Degrade', or `restorebox restore` for pictures without gt",
        'ConcatDataset': "'ConcatPictures' with datasets=dict(NAME=dict(...), ...)",
        'RepeatDataset': "'RepeatPictures'",
        'ClassBalancedDataset': "'ConcatPictures' with weights=dict(NAME=...)",
        'BaseDataset': "'PairedPictures', 'UnpairedPictures' or a class derived from BasePictures (add_a_method.md)",
        'ImageFolder': "'UnpairedPictures', or 'PairedPictures' with a 'Degrade' for clean pictures alone",
    },
    'sampler': {
        'IterBasedSampler': "'KeyedSampler'",
        'EnlargedSampler': "'KeyedSampler', which has no end",
    },
    'pipeline': {
        'LoadImageFromFile': "'LoadPictures', which reads all roles of a sample",
        'LoadImageFromFileList': "'LoadPictures', which reads all roles of a sample",
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
        'Uformer': "'WindowUNet', which has other layers: weights of Uformer do not fit",
        **{name: NOT_INCLUDED for name in NETWORKS_NOT_INCLUDED},
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
        'GANLoss': "the model 'AdversarialRestorer' with gan_mode='lsgan', see configs/infoaccum",
        'HingeLoss': "the model 'AdversarialRestorer' with gan_mode='hinge', see configs/infoaccum",
        'LSGANLoss': "the model 'AdversarialRestorer' with gan_mode='lsgan', see configs/infoaccum",
        'WGANLoss': NOT_INCLUDED,
        'PixelLoss': "'L1Loss', 'MSELoss' or 'CharbonnierLoss'",
        'SmoothL1Loss': "'CharbonnierLoss'",
        'VGGLoss': "'PerceptualLoss'",
        'PerceptualVGG': "'PerceptualLoss'",
        'SSIM_Loss': "'SSIMLoss'",
        'MS_SSIMLoss': "'SSIMLoss'",
        'EdgeLoss': "'GradientLoss'",
        'TVLoss': "nothing of that name: 'GradientLoss' compares the gradients of two pictures",
        'ContrastLoss': "'ContrastiveRegularisation'",
        'MaskedTVLoss': NOT_INCLUDED,
        'CLIPLoss': "'SemanticLoss' with the encoder 'CLIPVisual'",
        'NCELoss': "the model 'CycleRestorer' with lambda_lcl, see configs/cut",
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
        'Evaluator': "metrics without it: val_evaluator=[dict(type='PictureScores', protocols=('psnr_y',))]",
    },
    'train_cfg': {
        'IterBasedRunner': "'SampleTrainLoop' as train_cfg",
        'EpochBasedRunner': "'SampleTrainLoop' as train_cfg",
        'IterBasedTrainLoop': "'SampleTrainLoop' with max_samples = iterations x batch x ranks",
        'EpochBasedTrainLoop': "'SampleTrainLoop' with max_samples = epochs x pictures of the set",
    },
    'val_cfg': {
        'MultiValLoop': "'RestorationValLoop'",
        'ValLoop': "'RestorationValLoop', which scores every picture of the set exactly once",
    },
    'test_cfg': {
        'MultiTestLoop': "'RestorationTestLoop'",
        'TestLoop': "'RestorationTestLoop', which scores every picture of the set exactly once",
    },
    'custom_hooks': {
        'ExponentialMovingAverageHook': "'RoleEMAHook'",
        'EMAHook': "'RoleEMAHook'; EMAHook averages all networks, including those used only in training",
        'CheckpointHook': "'RestorationCheckpointHook'; CheckpointHook deletes the old file before the new one is "
        'complete, and saves the random state of one rank only',
        'BasicVisualizationHook': "'ComparisonSheetHook'",
        'VisualizationHook': "'ComparisonSheetHook'",
    },
    'visualizer': {
        'ConcatImageVisualizer': "the hook default_hooks.sheets ('ComparisonSheetHook'); leave visualizer as it is",
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

# keys inside components of MMEngine and MMagic -> the key of the restorebox component, with a remark in brackets; ''
# for a key without a counterpart, with a remark only
COMPONENT_KEYS: dict[str, str] = {
    'max_iters': 'max_samples (iterations x batch x ranks)',
    'max_epochs': 'max_samples (epochs x pictures of the set)',
    'val_interval': 'val_samples (iterations x batch x ranks)',
    'interval': 'every_samples (iterations x batch x ranks)',
    'max_keep_ckpts': 'max_keep',
    'by_epoch': '(leave it out: numbers are samples)',
    'momentum': 'decay (1 - momentum)',
    'loss_weight': 'weight',
    'pixel_loss': "losses (dict(l1=dict(type='L1Loss')))",
    'perceptual_loss': "losses (dict(vgg=dict(type='PerceptualLoss')))",
    'gan_loss': "gan_mode ('lsgan', 'hinge' or 'vanilla')",
    'ann_file': "list_file (with pairing='list_file')",
    'filename_tmpl': "template (with pairing='template')",
    'crop_size': 'size',
    'patch_size': 'size',
    'gt_patch_size': 'size',
    'flip_ratio': 'p',
    'prob': 'p',
}


def alias(name: str) -> str | None:
    """Return the equivalent of another toolbox's component, worded as the end of a message; None if unknown."""
    return ALIASES.get(name)


def component_key_alias(key: str, known: Iterable[str]) -> str | None:
    """Return the equivalent of a component's key of MMEngine or MMagic, worded as the end of a message.

    Args:
        key: unknown key of a component.
        known: keys that the component has; an equivalent that is not among them is not returned.
    """
    name, _, remark = COMPONENT_KEYS.get(key, '').partition(' ')
    if name.startswith('('):
        return COMPONENT_KEYS[key].strip('()')
    return f"restorebox has '{name}'{remark and f' {remark}'}" if name in known else None


def key_alias(key: str) -> str | None:
    """Return the equivalent of a config key of another toolbox; None if unknown."""
    return KEYS.get(key)
