// Functions that run code, or reach files and the network, when Python calls them: what attacks put into pickles. Nothing
// here calls anything; the list only decides that a file which asks for such a call is refused instead of read.

/** Modules of which every function counts, those inside them included. */
const modules = new Set(
  (
    'subprocess sys importlib runpy code codeop pty commands popen2 shutil socket ssl ctypes _ctypes cffi webbrowser urllib urllib2 ' +
    'http httplib requests httpx aiohttp ftplib smtplib telnetlib pickle _pickle cPickle marshal shelve asyncio multiprocessing ' +
    'signal atexit timeit pdb bdb cProfile profile trace doctest pydoc pip ensurepip venv setuptools distutils imp zipimport ' +
    'tempfile fileinput glob io _io pkgutil idlelib lib2to3 sqlite3 faulthandler gc inspect test _osx_support _aix_support _pyrepl'
  ).split(' '),
);

/** Modules of the operating system: functions count, the tuples that they return do not. */
const systemModules = new Set(['os', 'posix', 'nt']);
const systemTuples = new Set(['stat_result', 'statvfs_result', 'terminal_size', 'times_result', 'uname_result']);

const builtins = new Set(
  '__import__ eval exec execfile compile open input breakpoint setattr delattr globals locals vars apply reload'.split(
    ' ',
  ),
);

/** Single functions, and parts of packages. */
const others = [
  'torch.load',
  'torch.jit',
  'torch.hub',
  'torch.fx',
  'torch.package',
  'torch._dynamo',
  'torch._inductor',
  'torch.distributed.rpc',
  'torch.utils._config_module',
  'torch.utils.bottleneck',
  'torch.utils.collect_env',
  'torch.utils.cpp_extension',
  'torch.utils.data.datapipes',
  'torch.utils.model_zoo',
  'numpy.load',
  'numpy.fromfile',
  'numpy.f2py',
  'numpy.distutils',
  'numpy.testing',
  'pandas.eval',
  'pandas.read_pickle',
  'joblib.load',
  'dill.loads',
  'dill._dill.loads',
  'cloudpickle.loads',
  'codecs.open',
  'logging.config',
  'types.FunctionType',
  'types.CodeType',
  'uuid._get_command_stdout',
];

/** Methods that write, of any class of paths: `pathlib.Path.write_text`. */
const methodsOfPaths = /^pathlib\.(?:_local\.)?(?!_local\.)\w+\.\w/;

/** Whether calling a global, `module.name`, or an attribute of one runs code or touches the system. */
export function runsCode(name: string): boolean {
  const [root, ...path] = name.split('.');
  if (root === 'builtins' || root === '__builtin__') return builtins.has(path[0] ?? '');
  if (systemModules.has(root!)) return !systemTuples.has(path[0] ?? '');
  return (
    modules.has(root!) ||
    methodsOfPaths.test(name) ||
    others.some((other) => name === other || name.startsWith(`${other}.`))
  );
}
