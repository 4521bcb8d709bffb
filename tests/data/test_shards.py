import os

import numpy as np
import pytest

from kvoice.data import shards
from kvoice.errors import KvoiceError


def utterance(name="demo/é", samples=1000, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "wave": rng.integers(-32768, 32768, samples).astype(np.int16),
        "f0": rng.random(4).astype(np.float32),
        "phone": np.arange(4, dtype=np.int32),
        "speaker": 300,
        "gender": -1,
        "emotion": 0,
        "rate": 4.5,
        "text": "",
        "name": name,
    }


def assert_equal(left, right):
    assert set(left) == set(right) == set(shards.FIELDS)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def test_reading_undoes_writing(tmp_path):
    path = tmp_path / "a.tfrecord"
    written = [utterance(f"n{i}", samples=i * 7, seed=i) for i in range(5)]
    shards.write(path, written)
    offsets = shards.index(path)
    assert len(offsets) == 5
    for i in (4, 0, 2):
        assert_equal(shards.read(path, offsets[i]), written[i])


def test_crc_is_castagnoli_and_masked():
    # RFC 3720 B.4: 32 bytes of zeros; the mask turns by 15 bits and adds a constant.
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert shards.masked_crc(bytes(32)) == masked


def test_tensorflow_reads_what_we_write(tmp_path):
    tf = pytest.importorskip("tensorflow")
    path = tmp_path / "a.tfrecord"
    written = utterance()
    shards.write(path, [written, written])
    kinds = {int: tf.int64, float: tf.float32}
    schema = {
        name: tf.io.FixedLenFeature([], kinds.get(kind, tf.string))
        for name, kind in shards.FIELDS.items()
    }
    records = list(tf.data.TFRecordDataset(str(path)))
    parsed = tf.io.parse_single_example(records[1], schema)
    np.testing.assert_array_equal(tf.io.decode_raw(parsed["wave"], tf.int16), written["wave"])
    np.testing.assert_array_equal(tf.io.decode_raw(parsed["f0"], tf.float32), written["f0"])
    assert parsed["gender"] == -1 and parsed["speaker"] == 300 and parsed["rate"] == 4.5
    assert parsed["name"].numpy().decode() == written["name"]


def test_we_read_what_tensorflow_writes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    path = tmp_path / "a.tfrecord"
    written = utterance()
    feature = {}
    for name, kind in shards.FIELDS.items():
        value = written[name]
        if kind is int:
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        elif kind is float:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        else:
            data = value.encode() if kind is str else value.tobytes()
            feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[data]))
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(example.SerializeToString())
    assert_equal(shards.read(path, 0), written)


@pytest.mark.parametrize("kept", [5, 20, 1500, -1])
def test_a_truncated_shard_is_named_with_the_way_out(tmp_path, kept):
    path = tmp_path / "a.tfrecord"
    shards.write(path, [utterance(), utterance()])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(KvoiceError, match=r"a\.tfrecord: .*truncated.*delete it and run prepare"):
        shards.index(path)


@pytest.mark.parametrize("position", [3, 200])
def test_one_flipped_bit_is_found(tmp_path, position):
    path = tmp_path / "a.tfrecord"
    shards.write(path, [utterance()])
    data = bytearray(path.read_bytes())
    data[position] ^= 4
    path.write_bytes(data)
    with pytest.raises(KvoiceError, match=r"a\.tfrecord: .*checksum.*delete it and run prepare"):
        shards.read(path, 0)


def test_a_failed_write_leaves_nothing(tmp_path):
    def examples():
        yield utterance()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        shards.write(tmp_path / "a.tfrecord", examples())
    assert os.listdir(tmp_path) == []
