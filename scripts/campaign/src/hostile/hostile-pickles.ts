// Pickles that attack the process that loads them, as published: advisories on scanners of pickles (picklescan, fickling,
// modelscan), papers on poisoned checkpoints, and the classics. Each is written here in opcodes; none is a published file.
import { zipPieces } from '../../../../packages/io/src/zip-writer.js';

const bytes = (...values: number[]) => Buffer.from(values);
const join = (...parts: readonly Uint8Array[]) => Buffer.concat(parts);

type Argument = string | number | null | Buffer | readonly Argument[];

const encodeText = (value: string) => {
  const utf8 = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(utf8.length);
  return join(bytes(0x58), length, utf8);
};

function encode(value: Argument): Buffer {
  if (value === null) return bytes(0x4e);
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'string') return encodeText(value);
  if (typeof value === 'number') return bytes(0x4a, ...new Uint8Array(Int32Array.of(value).buffer));
  return join(bytes(0x28), ...(value as readonly Argument[]).map(encode), bytes(0x74));
}

/** `module.name`, as protocol 2 writes it. */
const named = (module: string, name: string) => Buffer.from(`c${module}\n${name}\n`);

/** The same, as protocol 4 writes it: two texts on the stack. */
const namedByStack = (module: string, name: string) => join(encodeText(module), encodeText(name), bytes(0x93));

const call = (target: Buffer, ...args: Argument[]) => join(target, encode(args), bytes(0x52));
const instance = (target: Buffer, ...args: Argument[]) => join(target, encode(args), bytes(0x81));
const withState = (object: Buffer, state: Argument) => join(object, encode(state), bytes(0x62));
const withAttribute = (object: Buffer, name: string) => call(named('__builtin__', 'getattr'), object, name);

/** @param canary - a file that appears when the command runs */
function commandsFor(canary: string): { shell: string; python: string } {
  return { shell: `touch ${canary}`, python: `__import__('os').system('touch ${canary}')` };
}

/** Functions that run code, read or write files, or reach the network, each with arguments that would do so. */
function functionsOf(canary: string): [module: string, name: string, ...args: Argument[]][] {
  const { shell, python } = commandsFor(canary);
  const argv = ['sh', '-c', shell];
  return [
    ['os', 'system', shell],
    ['posix', 'system', shell],
    ['nt', 'system', shell],
    ['os', 'popen', shell],
    ['os', 'execvp', 'sh', argv],
    ['os', 'spawnlp', 0, 'sh', ...argv],
    ['os', 'posix_spawn', '/bin/sh', argv, []],
    ['os', 'remove', canary],
    ['subprocess', 'Popen', argv],
    ['subprocess', 'check_output', argv],
    ['subprocess', 'run', argv],
    ['subprocess', 'getoutput', shell],
    ['commands', 'getoutput', shell],
    ['popen2', 'popen2', shell],
    ['pty', 'spawn', argv],
    ['builtins', 'eval', python],
    ['builtins', 'exec', python],
    ['__builtin__', 'execfile', '/tmp/x.py'],
    ['builtins', 'compile', python, 'x', 'exec'],
    ['builtins', '__import__', 'os'],
    ['builtins', 'open', canary, 'w'],
    ['builtins', 'breakpoint'],
    ['builtins', 'input', 'password: '],
    ['builtins', 'setattr', 'os', 'x', 1],
    ['__builtin__', 'apply', python],
    ['io', 'open', canary, 'w'],
    ['_io', 'FileIO', canary, 'w'],
    ['io', 'FileIO', canary, 'w'],
    ['codecs', 'open', canary, 'w'],
    ['shutil', 'copyfile', '/etc/passwd', canary],
    ['shutil', 'rmtree', '/tmp/x'],
    ['pathlib', 'Path.write_text', canary, 'x'],
    ['tempfile', 'mktemp'],
    ['distutils.file_util', 'write_file', canary, ['x']],
    ['distutils.spawn', 'spawn', argv],
    ['importlib', 'import_module', 'os'],
    ['importlib.util', 'spec_from_file_location', 'x', '/tmp/x.py'],
    ['pkgutil', 'resolve_name', 'os:system'],
    ['runpy', 'run_path', '/tmp/x.py'],
    ['runpy', '_run_code', python],
    ['code', 'InteractiveInterpreter.runcode', python],
    ['code', 'interact'],
    ['timeit', 'timeit', '', python],
    ['cProfile', 'run', python],
    ['cProfile', 'runctx', python],
    ['profile', 'Profile.run', python],
    ['profile', 'Profile.runctx', python],
    ['trace', 'Trace.run', python],
    ['trace', 'Trace.runctx', python],
    ['pdb', 'run', python],
    ['bdb', 'Bdb.run', python],
    ['doctest', 'debug_script', python],
    ['pydoc', 'pipepager', 'x', shell],
    ['pydoc', 'tempfilepager', 'x', shell],
    ['ensurepip', '_run_pip', ['install', 'x']],
    ['pip', 'main', ['install', 'x']],
    ['pip._internal.cli.main', 'main', ['install', 'x']],
    ['venv', 'create', '/tmp/x'],
    ['idlelib.run', 'Executive.runcode', python],
    ['idlelib.pyshell', 'ModifiedInterpreter.runcommand', python],
    ['idlelib.autocomplete', 'AutoComplete.get_entity', python],
    ['idlelib.debugobj', 'ObjectTreeItem', python],
    ['lib2to3.pgen2.grammar', 'Grammar.loads', 'x'],
    ['lib2to3.pgen2.pgen', 'ParserGenerator.make_label', python],
    ['asyncio.unix_events', '_UnixSubprocessTransport._start', argv],
    ['multiprocessing.util', 'spawnv_passfds', 'sh', argv, []],
    ['ctypes', 'CDLL', 'libc.so.6'],
    ['_ctypes', 'dlopen', 'libc.so.6', 0],
    ['socket', 'create_connection', ['127.0.0.1', 9]],
    ['ssl', 'get_server_certificate', ['127.0.0.1', 9]],
    ['urllib.request', 'urlopen', 'http://127.0.0.1:9/'],
    ['http.client', 'HTTPSConnection', '127.0.0.1'],
    ['requests.api', 'get', 'http://127.0.0.1:9/'],
    ['aiohttp.client', 'ClientSession'],
    ['smtplib', 'SMTP', '127.0.0.1'],
    ['ftplib', 'FTP', '127.0.0.1'],
    ['webbrowser', 'open', 'http://127.0.0.1:9/'],
    ['pickle', 'loads', 'x'],
    ['_pickle', 'loads', 'x'],
    ['marshal', 'loads', 'x'],
    ['dill', 'loads', 'x'],
    ['cloudpickle', 'loads', 'x'],
    ['joblib', 'load', '/tmp/x'],
    ['torch', 'load', '/tmp/x'],
    ['torch.hub', 'load_state_dict_from_url', 'http://127.0.0.1:9/'],
    ['torch.jit', 'load', '/tmp/x'],
    ['torch.utils.bottleneck.__main__', 'run_autograd_prof', python],
    ['torch.utils.bottleneck.__main__', 'run_cprofile', python],
    ['torch.utils._config_module', 'ConfigModule.load_config', 'x'],
    ['torch.utils.collect_env', 'run', shell],
    ['torch.utils.data.datapipes.utils.decoder', 'basichandlers', 'pickle', 'x'],
    ['torch.fx.experimental.symbolic_shapes', 'ShapeEnv.evaluate_guards_expression', python],
    ['torch._dynamo.guards', 'GuardBuilder.get', python],
    ['torch.distributed.rpc.internal', '_internal_rpc_pickler.deserialize', 'x'],
    ['torch._inductor.codecache', 'compile_file', shell],
    ['numpy', 'load', '/tmp/x'],
    ['numpy.testing._private.utils', 'runstring', python],
    ['numpy.f2py.crackfortran', 'getlincoef', python],
    ['numpy.f2py.crackfortran', '_eval_length', python],
    ['pandas', 'read_pickle', '/tmp/x'],
    ['pandas', 'eval', python],
    ['types', 'FunctionType', 'x'],
    ['types', 'CodeType', 'x'],
    ['uuid', '_get_command_stdout', 'sh', '-c', shell],
    ['_osx_support', '_read_output', shell],
    ['_aix_support', '_read_cmd_output', shell],
    ['_pyrepl.pager', 'pipe_pager', 'x', shell],
    ['test.support.script_helper', 'assert_python_ok', '-c', python],
    ['logging.config', 'fileConfig', '/tmp/x'],
    ['sqlite3', 'connect', canary],
    ['signal', 'raise_signal', 9],
    ['faulthandler', '_sigsegv'],
    ['sys', 'exit', 1],
    ['atexit', 'register', 'x'],
    ['gc', 'get_objects'],
    ['inspect', 'getmodule', 'x'],
  ];
}

/** Ways around lists of names: by attributes, partial functions, nested calls, other opcodes. */
function indirections(canary: string): [name: string, pickle: Buffer][] {
  const { shell, python } = commandsFor(canary);
  const system = named('os', 'system');
  return [
    ['by protocol 4', call(namedByStack('os', 'system'), shell)],
    ['by a dotted name', call(namedByStack('os', 'path.os.system'), shell)],
    ['by a name with a line feed', call(namedByStack('os\nsystem', 'x'), shell)],
    ['by an instance', instance(named('subprocess', 'Popen'), shell)],
    ['by partial', call(call(named('functools', 'partial'), system, shell))],
    ['by reduce', call(named('functools', 'reduce'), named('builtins', 'getattr'), ['os', 'system'])],
    ['by map', call(named('builtins', 'list'), call(named('builtins', 'map'), system, [shell]))],
    ['by attrgetter', call(call(named('operator', 'attrgetter'), 'system'), named('os', 'path'))],
    ['by methodcaller', call(call(named('operator', 'methodcaller'), 'system', shell), named('os', '__dict__'))],
    ['by _operator', call(call(named('_operator', 'methodcaller'), 'system', shell), named('os', '__dict__'))],
    ['by itemgetter', call(call(named('operator', 'itemgetter'), 'eval'), named('numpy', '__builtins__'))],
    ['by getattr', call(withAttribute(named('os', 'path'), 'system'), shell)],
    ['by getattr of getattr', call(withAttribute(withAttribute(named('numpy', 'core'), 'os'), 'system'), shell)],
    ['by builtins of numpy', call(call(named('builtins', 'dict.get'), named('numpy', '__builtins__'), 'exec'), python)],
    ['by a module that imports sys', call(named('numpy', 'core._internal.sys.modules'), 'os')],
    ['by state', withState(instance(named('numpy', 'prod')), named('numpy', 'core._internal.sys.modules'))],
    [
      'by a class that is given a constructor',
      withState(instance(named('__main__', 'X')), [null, ['__class__', 'os']]),
    ],
    ['by the result of a call', call(call(named('importlib', 'import_module'), 'os'), shell)],
    ['by a storage that is a call', join(call(system, shell), bytes(0x51))],
    ['by a tensor subclass', call(named('torch._tensor', '_rebuild_from_type_v2'), system, null, [shell], null)],
    [
      'by __reduce_ex__',
      call(named('copyreg', '_reconstructor'), named('os', 'system'), named('builtins', 'object'), null),
    ],
    ['by __newobj__', call(named('copyreg', '__newobj__'), named('subprocess', 'Popen'), shell)],
    ['by an extension', join(bytes(0x82, 1), encode([shell]), bytes(0x52))],
    ['by the old opcode of instances', Buffer.from(`(S'${shell}'\nios\nsystem\n`)],
    ['by the old opcode of objects', join(bytes(0x28), system, encode(shell), bytes(0x6f))],
    ['after an early stop', join(call(system, shell), bytes(0x2e), call(system, shell))],
    ['before an error', join(call(system, shell), bytes(0x00))],
    ['as a key', join(bytes(0x7d), call(system, shell), bytes(0x4e, 0x73))],
    ['by __proto__', join(bytes(0x7d), encode('__proto__'), bytes(0x7d), bytes(0x73))],
    ['by constructor', call(named('constructor', 'constructor'), 'process.exit(1)')],
    ['by hasOwnProperty', call(namedByStack('hasOwnProperty', '__proto__'), 'x')],
  ];
}

const repeated = (times: number, ...part: readonly Uint8Array[]) => Buffer.concat(Array(times).fill(join(...part)));

/** Small pickles that would take much memory or time. */
const bombs: [name: string, pickle: Buffer][] = [
  ['doubled tuples', join(encode('lol'), repeated(40, bytes(0x32, 0x86)))],
  [
    'doubled lists',
    join(bytes(0x5d, 0x71, 0), repeated(60, bytes(0x30, 0x5d), bytes(0x68, 0, 0x61, 0x68, 0, 0x61, 0x71, 0))),
  ],
  ['deep lists', join(repeated(200_000, bytes(0x5d)), repeated(199_999, bytes(0x61)))],
  ['deep tuples', join(bytes(0x29), repeated(200_000, bytes(0x85)))],
  ['many dicts', join(bytes(0x28), repeated(2_000_000, bytes(0x7d)), bytes(0x74))],
  ['many sets', join(bytes(0x28), repeated(2_000_000, bytes(0x8f)), bytes(0x74))],
  ['a text of 4 GiB', Buffer.from([0x58, 0xff, 0xff, 0xff, 0xff])],
  ['bytes of 2^63', Buffer.from([0x8e, 0, 0, 0, 0, 0, 0, 0, 0x80])],
  ['a frame of 2^63', Buffer.from([0x95, 0, 0, 0, 0, 0, 0, 0, 0x80])],
  ['an integer of a megabyte', join(bytes(0x8b, 0, 0, 16, 0), Buffer.alloc(2 ** 20, 0x7f))],
  ['a memo of 2^32 entries', Buffer.from([0x4e, 0x72, 0xff, 0xff, 0xff, 0xff])],
  ['marks without end', repeated(1_000_000, bytes(0x28))],
  ['a set that contains itself', join(bytes(0x8f, 0x71, 0, 0x28), bytes(0x68, 0), bytes(0x90))],
  [
    'keys of equal hashes',
    join(
      bytes(0x7d, 0x28),
      ...Array.from({ length: 20_000 }, (_, i) =>
        join(bytes(0x8a, 9), Buffer.from(BigInt64Array.of(BigInt(i) << 40n).buffer), bytes(1, 0x4e)),
      ),
      bytes(0x75),
    ),
  ],
  ['a global of a megabyte', Buffer.from(`c${'a'.repeat(2 ** 20)}\nb\n`)],
  ['a regular expression', call(named('re', 'compile'), '(a+)+$')],
  ['a range of 10^18', call(named('builtins', 'range'), 0x7fffffff)],
  ['repeated bytes', call(named('_codecs', 'encode'), 'ÿ'.repeat(2 ** 20), 'latin1')],
];

/** A file, and whether Python would call a function that the file has no business with. */
export type HostilePickle = { name: string; bytes: Uint8Array; isCall: boolean };

/** A checkpoint in the zip format whose structure is the pickle. */
async function inArchive(pickle: Buffer): Promise<Uint8Array> {
  const data = join(bytes(0x80, 2), pickle, bytes(0x2e));
  const pieces: Uint8Array[] = [];
  const members = [{ name: 'archive/data.pkl', size: data.length, pieces: [data] }];
  for await (const piece of zipPieces(members, data.length > 100_000)) pieces.push(piece);
  return Uint8Array.from(Buffer.concat(pieces));
}

/** The format before PyTorch 1.6: magic number, version and facts of the machine in pickles before. */
function inLegacyFile(pickle: Buffer): Uint8Array {
  const magic = Buffer.from('\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.', 'latin1');
  const machine = Buffer.from('\x80\x02}X\x0d\0\0\0little_endian\x88s.', 'latin1');
  const keys = Buffer.from('\x80\x02].', 'latin1');
  return Uint8Array.from(join(magic, machine, bytes(0x80, 2), pickle, bytes(0x2e), keys));
}

/** Every pickle, in both formats of checkpoints where it is small. */
export async function hostilePickles(canary: string): Promise<HostilePickle[]> {
  const calls = functionsOf(canary).map(([module, name, ...args]): [string, Buffer] => [
    `${module}.${name}`,
    call(named(module, name), ...args),
  ]);
  const files: HostilePickle[] = [];
  for (const [name, pickle] of [...calls, ...indirections(canary), ...bombs]) {
    const isCall = calls.some(([other]) => other === name);
    files.push({ name, bytes: await inArchive(pickle), isCall });
    if (pickle.length < 10_000)
      files.push({ name: `${name}, before PyTorch 1.6`, bytes: inLegacyFile(pickle), isCall });
  }
  return files;
}
