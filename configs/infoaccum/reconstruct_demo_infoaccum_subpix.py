# Table III at laptop size: UNet-5 + InfoAccum + SubPixUpsamp.
_base_ = 'reconstruct_demo_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
