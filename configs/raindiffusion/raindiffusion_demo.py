# RainDiffusion's objective to the letter at laptop size: light networks, crops of 64, rain drawn over half of your
# clean photographs, data/clean/{train,test}/gt; the other half is the clean side. In the log shift_rainy and
# shift_clean tell whether it collapses.
_base_ = [
    '../_base_/models/raindiffusion_demo.py',
    '../_base_/datasets/clean_folder_demo64_unpaired.py',
    '../_base_/schedules/adam_diffusion_demo.py',
]
