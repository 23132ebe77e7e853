# Control of diffusion_demo.py: the noise is estimated, as in the papers, under a schedule with more steps of little
# noise.
_base_ = 'diffusion_demo.py'
model = dict(prediction='noise', schedule='cosine', sampling=dict(steps=25))
