# Stage 2 that is also pushed from the degraded picture, in the features of VGG16.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
model = dict(losses=dict(contrastive=dict(type='ContrastiveRegularisation', weight=0.1)))
