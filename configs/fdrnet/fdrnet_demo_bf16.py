# fdrnet_demo with forward passes in bfloat16: does it end where float32 does?
_base_ = 'fdrnet_demo.py'
optim_wrapper = dict(type='AutocastOptimWrapper')
