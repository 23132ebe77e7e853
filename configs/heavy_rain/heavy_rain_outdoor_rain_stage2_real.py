# Stage 2 that is also shown real rain, pictures without partners in data/real_rain, in a tenth of its iterations.
_base_ = 'heavy_rain_outdoor_rain_stage2.py'
train_dataloader = dict(dataset=dict(real='data/real_rain'))
