"""What counts as a transformer block, in networks built as ComfyUI's are."""

from sagekit.core.compile.blocks import find_blocks, kind_of
from torch import nn


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)


class Block(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.attn, self.norm = Attention(width), nn.LayerNorm(width)


class SingleBlock(Block):
    pass


class ResBlock(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(width, width, 3), nn.Conv2d(width, width, 3))
        self.emb = nn.Sequential(nn.Linear(width, width), nn.Linear(width, width))


class SpatialTransformer(nn.Module):
    def __init__(self, depth, width=32):
        super().__init__()
        self.transformer_blocks = nn.ModuleList(Block(width) for _ in range(depth))


class TimestepEmbedSequential(nn.Sequential):
    pass


class Wrapper(nn.Module):
    """A block in a shell of its own, as HiDream's."""

    def __init__(self):
        super().__init__()
        self.block = Block()
        self.experts = nn.ModuleList(Block() for _ in range(3))


class Network(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def many(kind, count, *args):
    return nn.ModuleList(kind(*args) for _ in range(count))


def test_blocks_are_found_under_any_name_and_in_their_order():
    network = Network(doubles=many(Block, 2), anything=many(SingleBlock, 3), head=nn.Linear(32, 32))
    assert find_blocks(network) == [*network.doubles, *network.anything]


def test_a_dictionary_of_blocks_is_as_good_as_a_list():
    network = Network(blocks=nn.ModuleDict({"block0": Block(), "block1": Block()}))
    assert find_blocks(network) == list(network.blocks.values())


def test_a_unets_blocks_are_found_inside_its_parts_even_one_by_one():
    parts = [TimestepEmbedSequential(ResBlock(), SpatialTransformer(depth)) for depth in (1, 1, 2)]
    network = Network(input_blocks=nn.ModuleList(parts), out=nn.Conv2d(32, 4, 3))
    assert find_blocks(network) == [block for part in parts for block in part[1].transformer_blocks]


def test_a_block_inside_a_block_is_compiled_with_it():
    network = Network(blocks=many(Wrapper, 2))
    assert find_blocks(network) == list(network.blocks)


def test_convolutions_single_modules_and_bare_layers_are_no_blocks():
    network = Network(
        res=many(ResBlock, 4),
        alone=many(Block, 1),
        layers=many(nn.Linear, 4, 32, 32),
        norms=many(nn.LayerNorm, 4, 32),
    )
    assert find_blocks(network) == []


def test_a_part_too_small_to_matter_is_left_alone():
    network = Network(blocks=many(Block, 4, 256), refiner=many(SingleBlock, 2, 16))
    assert find_blocks(network) == list(network.blocks)


def test_blocks_of_one_width_are_of_a_kind_and_of_another_width_are_not():
    assert kind_of(Block(32)) == kind_of(Block(32))
    assert kind_of(Block(32)) != kind_of(Block(64))
    assert kind_of(Block(32)) != kind_of(SingleBlock(32))
