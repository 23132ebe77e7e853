# Table 2, Rain800, and the full row of Tables 3 to 5; `restorebox prepare-data rain800` makes its folder.
_base_ = 'raindiffusion_paper.py'
