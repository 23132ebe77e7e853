# PromptIR on your own pairs, e.g. a mixture of degradations: crops of 128 pixels, batch 32, learning rate 2e-4 (paper).
_base_ = [
    '../_base_/models/promptir.py',
    '../_base_/datasets/paired_folder.py',
    '../_base_/schedules/adamw_cosine.py',
]
batch = 32
crop = 128
train_dataloader = dict(
    batch_size=batch,
    dataset=dict(
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=crop),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ]
    ),
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
auto_scale_lr = dict(base_batch_size=batch)
