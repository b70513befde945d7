"""A small transformer that samples as a diffusion model does, and calls attention as ComfyUI's models do."""

from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Size:
    """Enough work for a device to show a difference, little enough for nobody to wait."""

    tokens: int
    heads: int
    dtype: torch.dtype
    head_dim: int = 64
    text: int = 77
    blocks: int = 6
    steps: int = 6


ON_CPU = Size(tokens=512, heads=4, dtype=torch.float32)
ON_GPU = Size(tokens=8192, heads=16, dtype=torch.bfloat16)

# This block's values leave float16's range (65,504) from this step on, as some models' do in bfloat16.
LOUD_BLOCK, LOUD_STEP, LOUDNESS = 3, 3, 1e6

Attention = Callable[..., torch.Tensor]


class Block(torch.nn.Module):
    """Self-attention, attention to a text, and an MLP, each added to what came in."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(width) for _ in range(3))
        self.qkv, self.out = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.text_q, self.text_kv = torch.nn.Linear(width, width), torch.nn.Linear(width, 2 * width)
        self.text_out = torch.nn.Linear(width, width)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )

    def forward(self, x, text, loudness: float, attention: Attention, options: dict):
        q, k, v = self.qkv(self.norms[0](x)).chunk(3, dim=-1)
        heard = attention(q, k, v * loudness, self.heads, transformer_options=options) / loudness
        x = x + self.out(heard)
        k, v = self.text_kv(text).chunk(2, dim=-1)
        q = self.text_q(self.norms[1](x))
        x = x + self.text_out(attention(q, k, v, self.heads, transformer_options=options))
        return x + self.mlp(self.norms[2](x))


class Model(torch.nn.Module):
    """The blocks with random weights; each is told its number, as ComfyUI's models tell it."""

    def __init__(self, size: Size, device: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.size = size
        width = size.heads * size.head_dim
        self.blocks = torch.nn.ModuleList(Block(width, size.heads) for _ in range(size.blocks))
        self.to(device, size.dtype)
        self.noise = torch.randn(1, size.tokens, width).to(device, size.dtype)
        self.text = torch.randn(1, size.text, width).to(device, size.dtype)

    def forward(self, x, step: int, attention: Attention, options: dict):
        for number, block in enumerate(self.blocks):
            loudness = LOUDNESS if number == LOUD_BLOCK and step >= LOUD_STEP else 1.0
            where = {**options, "block_index": number, "total_blocks": len(self.blocks)}
            x = block(x, self.text, loudness, attention, where)
        return x


def host_attention(q, k, v, heads, mask=None, transformer_options=None):
    """Stands for ComfyUI's own: on a CPU a softmax between two multiplications, on a GPU PyTorch's choice."""
    q, k, v = (tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (q, k, v))
    if q.is_cuda:
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    else:
        out = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, dim=-1) @ v
    return out.transpose(1, 2).flatten(2)
