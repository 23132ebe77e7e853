# The sub-pixel layer alone, without InfoAccum, at laptop size: a step that Table III doesn't have.
_base_ = 'reconstruct_demo_unet5.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
