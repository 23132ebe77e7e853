# Table III: UNet-5 + InfoAccum-15 + SubPixUpsamp.
_base_ = 'reconstruct_infoaccum.py'
model = dict(generator=dict(head=dict(_delete_=True, type='SubPixelHead')))
