"""Runs StableHLO programs on XLA's CPU client for the tests of @tb/xla.

Reads requests from standard input and answers on standard output; both are a little-endian
uint32 length, a JSON object of that length, and `bytes` further bytes of array data. Started by jaxlib-executor.ts:

    jaxlib-server.py DEVICES [COORDINATOR COUNT INDEX]

With a coordinator it is one of several processes, whose programs meet through gloo.
"""

import json
import os
import struct
import sys

answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever a library prints goes to standard error, not into the answers

import jax
import ml_dtypes
import numpy as np
from jaxlib import xla_client

DTYPES = {
    "f32": np.float32, "bf16": ml_dtypes.bfloat16, "f16": np.float16, "f64": np.float64,
    "i32": np.int32, "i64": np.int64, "i8": np.int8, "ui8": np.uint8, "ui16": np.uint16,
    "ui32": np.uint32, "ui64": np.uint64, "i1": np.bool_,
}


jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", int(sys.argv[1]))
jax.config.update("jax_enable_x64", True)
if len(sys.argv) > 2:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
devices = sorted(jax.local_devices(), key=lambda device: device.id)
processes = jax.process_count()
# Ids are not consecutive over processes.
all_devices = [
    sorted((device for device in jax.devices() if device.process_index == index), key=lambda device: device.id)
    for index in range(processes)
]
client = devices[0].client
objects = {}  # buffers and executables by the number that the other side gave them


def devices_of(replicas):
    """The devices that run a program: one of this process, or equally many of all, process after process."""
    if replicas == 1:
        return devices[:1]
    return [device for own in all_devices for device in own[: replicas // processes]]


def compile_program(request, _data):
    options = xla_client.CompileOptions()
    replicas = request["replicas"]
    used = devices_of(replicas)
    options.num_replicas = replicas
    options.num_partitions = 1
    options.executable_build_options.num_replicas = replicas
    options.executable_build_options.num_partitions = 1
    ids = np.array([device.id for device in used], dtype=np.int32).reshape(replicas, 1)
    options.device_assignment = xla_client.DeviceAssignment.create(ids)
    options.env_option_overrides = list(request["flags"].items())
    objects[request["id"]] = client.compile_and_load(request["module"], xla_client.DeviceList(tuple(used)), options)


def upload(request, data):
    dtype = DTYPES[request["type"]]
    array = np.frombuffer(data, dtype).reshape(request["shape"]).copy()
    objects[request["id"]] = jax.device_put(array, devices[request["device"]])


def across_devices(shards, replicas):
    """One array of jaxlib for the same argument of all replicas. It is declared replicated only to name its shape."""
    if replicas == 1:
        return shards[0]
    mesh = jax.sharding.Mesh(np.array(devices_of(replicas)), ("replica",))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    return jax.make_array_from_single_device_arrays(shards[0].shape, sharding, shards)


def execute(request, _data):
    replicas = request["replicas"]
    arguments = [across_devices([objects[number] for number in shards], replicas) for shards in zip(*request["inputs"])]
    program = objects[request["executable"]]
    results = program.execute_sharded(arguments).disassemble_into_single_device_arrays()
    for result, numbers in zip(results, zip(*request["outputs"])):
        for shard, number in zip(result, numbers):
            objects[number] = shard
    for number in request["donated"]:
        objects.pop(number, None)


def download(request, _data):
    return np.ascontiguousarray(np.asarray(objects[request["id"]])).tobytes()


def free(request, _data):
    for number in request["ids"]:
        objects.pop(number, None)


def count(_request, _data):
    return json.dumps(len(objects)).encode()


OPERATIONS = {f.__name__: f for f in (compile_program, upload, execute, download, free, count)}


def read_exactly(size):
    data = sys.stdin.buffer.read(size)
    if len(data) != size:
        os._exit(0)  # without waiting for other processes
    return data


while True:
    request = json.loads(read_exactly(struct.unpack("<I", read_exactly(4))[0]))
    data = read_exactly(request.get("bytes", 0))
    answer, payload = {}, b""
    try:
        payload = OPERATIONS[request["operation"]](request, data) or b""
    except Exception as error:  # the other side throws it
        answer["error"] = str(error)
    answer["bytes"] = len(payload)
    head = json.dumps(answer).encode()
    answers.write(struct.pack("<I", len(head)) + head + payload)
    answers.flush()
