# RainDiffusion's terms and cycle loss at laptop size: light networks that predict residuals (departures are listed in
# the model's file), crops of 64, rain synthesised on half of your clean images, data/clean/{train,test}/gt; the other
# half is the clean domain. shift_rainy and shift_clean in the log show whether it collapses.
_base_ = [
    '../_base_/models/raindiffusion_demo.py',
    '../_base_/datasets/clean_folder_demo64_unpaired.py',
    '../_base_/schedules/adam_diffusion_demo.py',
]
