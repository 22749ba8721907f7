"""Collectives, read from the text of programs in all forms that XLA gives their groups."""

from jgraph.sharding.collectives import Collective, collectives_of

LINES = """
  %r = f32[8,4]{1,0} all-reduce(%x), channel_id=1, replica_groups={{0,1,2,3},{4,5,6,7}}, to_apply=%add
  %s = (f32[16]{0}, bf16[4,2]{1,0}) all-reduce(%x, %y), replica_groups=[2,4]<=[4,2]T(1,0), to_apply=%add
  ROOT %g = f32[32]{0} all-gather(%x), replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_1'}, dimensions={0}
  %h = f32[32]{0} all-gather(%x), replica_groups=mesh['axis_0'=8] {'axis_0':(1)2}, dimensions={0}
  %o = (f32[8]{0}, f32[32]{0}) all-gather-start(%x), replica_groups={{0,1,2,3}}, dimensions={0}
  %c = f32[8]{0} reduce-scatter(%x), replica_groups=[1,4]<=[4], dimensions={0}, to_apply=%add
  %p = s8[10]{0} collective-permute(%x), source_target_pairs={{0,1},{1,0}}
  %q = pred[10]{0} all-reduce(%x), replica_groups={{0},{1}}, to_apply=%or
  %used = f32[8,4]{1,0} add(%r, %all-reduce.7), metadata={op_name="all-reduce(x)"}
"""


def test_kinds_groups_and_bytes() -> None:
    assert collectives_of(LINES, 8) == [
        Collective("all-gather", 2, 2, 2 * 128 / 2),
        Collective("all-gather", 4, 1, 128 * 3 / 4),
        Collective("all-reduce", 4, 2, 2 * (128 + 64 + 16) * 3 / 4),
        Collective("collective-permute", 8, 1, 10),
        Collective("reduce-scatter", 4, 1, 32 * 3),
    ]


def test_a_program_of_one_device_has_none() -> None:
    assert collectives_of("%a = f32[8]{0} add(%x, %y)\n", 1) == []
