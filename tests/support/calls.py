"""Attention calls as models make them, and functions that keep what they are called with."""

import torch

HEADS = 4
EXTRA = {"low_precision_attention": False}


def qkv(q_len=17, kv_len=33, head_dim=16, requires_grad=False):
    shapes = ((2, q_len, HEADS * head_dim), (2, kv_len, HEADS * head_dim), (2, kv_len, HEADS * head_dim))
    return [torch.randn(shape, requires_grad=requires_grad) for shape in shapes]


def recorder(log, answer=None):
    """An attention function that keeps the arguments it was called with."""

    def func(*args, **kwargs):
        log.append((args, kwargs))
        return answer

    return func
