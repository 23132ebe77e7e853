#!/usr/bin/env bash
# Train on several ranks of this machine, or of several machines:
#   tools/dist_train.sh CONFIG RANKS [options of train.py]
#   NNODES=2 NODE_RANK=0 MASTER_ADDR=10.0.0.1 PORT=29500 tools/dist_train.sh CONFIG RANKS   (and NODE_RANK=1 on the other)
# RANKS is per machine: one per GPU, or any number where there is none (gloo on the CPU).
exec "$(dirname "$0")/launch.sh" train "$@"
