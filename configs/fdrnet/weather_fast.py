# The network of version 1 of the included model, from its weights, trained further as weather2.py: a quarter of the
# operations. Gates are fitted afterwards: docs/studies/weather_gates.py --weights FILE.
_base_ = 'weather2.py'
load_from = 'configs/fdrnet/weather.safetensors'
version1 = dict(type='FDRUNet', widths=(32, 64, 128), blocks=(3, 3, 4))
model = dict(generator=dict(backbone=dict(_delete_=True, **version1)), statistics_window=512)
