# CUT at the size, on the data and for the samples of cclgan_demo.
_base_ = '../cclgan/cclgan_demo.py'
model = dict(
    directions=1,
    gan_mode='lsgan',
    lambda_lcl=2.0,  # 1 + 1: it weighs the mean of the pairs
    lcl_pairs=(('fake_clean', 'rainy'), ('same_clean', 'clean')),
    lcl_taps=('input', 'down1', 'down2', 'res1', 'res3'),
    lambda_intra=0.0,
    lambda_inter=0.0,
    lambda_idt=0.0,
    semantic_encoder=None,
)
