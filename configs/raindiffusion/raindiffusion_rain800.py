# RainDiffusion to the letter. Table 2, Rain800, and the full row of Tables 3 to 5; `restorebox prepare-data rain800`
# makes its folder. Expect a collapse: see the README.
_base_ = [
    '../_base_/models/raindiffusion.py',
    '../_base_/datasets/unpaired_from_pairs.py',
    '../_base_/schedules/adam_diffusion_400k.py',
]
