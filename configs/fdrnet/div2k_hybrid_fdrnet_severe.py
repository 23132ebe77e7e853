# Table 1, severe, never seen in training: for testing a checkpoint of div2k_hybrid_fdrnet.py.
_base_ = 'div2k_hybrid_fdrnet.py'
test_dataloader = dict(dataset=dict(split='test_severe'))
