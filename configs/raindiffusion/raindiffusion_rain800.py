# RainDiffusion with the objective as printed. Table 2, Rain800, and the full row of Tables 3 to 5. Its folder is
# written by `restorebox prepare-data rain800`. It is expected to collapse to the identity: see the README.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
