// Functions that run code, or reach files and the network, when Python calls them: what attacks put into pickles. Nothing
// here calls anything; the list only decides that a file which asks for such a call is refused instead of read.

/** Modules of which every function counts. */
const modules = new Set(
  (
    'subprocess sys importlib runpy code codeop pty commands popen2 shutil socket ssl ctypes cffi webbrowser urllib urllib2 http httplib ' +
    'requests httpx ftplib smtplib telnetlib pickle _pickle cPickle marshal shelve asyncio multiprocessing signal atexit ' +
    'timeit pdb bdb cProfile profile doctest pydoc pip setuptools distutils imp zipimport tempfile fileinput glob'
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

const others = new Set([
  'torch.load',
  'torch.jit.load',
  'torch.hub.load',
  'torch.hub.load_state_dict_from_url',
  'torch.utils.model_zoo.load_url',
  'numpy.load',
  'numpy.fromfile',
  'numpy.testing._private.utils.runstring',
  'pandas.eval',
  'pandas.read_pickle',
  'joblib.load',
  'dill.loads',
  'dill._dill.loads',
  'cloudpickle.loads',
  'types.FunctionType',
  'types.CodeType',
]);

/** Whether calling a global, `module.name`, or an attribute of one runs code or touches the system. */
export function runsCode(name: string): boolean {
  const [root, ...path] = name.split('.');
  if (root === 'builtins' || root === '__builtin__') return builtins.has(path[0] ?? '');
  if (systemModules.has(root!)) return !systemTuples.has(path[0] ?? '');
  return modules.has(root!) || [...others].some((other) => name === other || name.startsWith(`${other}.`));
}
