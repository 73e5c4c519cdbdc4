import { PickleCursor } from './pickle-cursor.js';
import { PickledGlobal, PickledObject, PickleFault, type PickleValue, Refusal } from './pickle-values.js';

/** Gives meaning to what a pickle refers to. Each method may throw `Refusal`. */
export type PickleHost = {
  /** The object that stands outside the pickle under `id`. */
  persistentLoad(id: PickleValue): PickleValue;
  /** Stands for calling `target(...args)` in Python. */
  call(target: PickledGlobal, args: PickleValue[]): PickleValue;
  /** Stands for `target.__setstate__(state)` in Python; PickledObjects are dealt with before. */
  setState(target: PickleValue, state: PickleValue): void;
};

type Machine = {
  cursor: PickleCursor;
  host: PickleHost;
  stack: PickleValue[];
  /** Heights of the stack at which marks stand. */
  marks: number[];
  memo: Map<number, PickleValue>;
  /** Elements that calls may still look at: calls on one long list, over and over, must not take for ever. */
  budget: number;
};

/**
 * Reads a pickle of protocol 2 to 5 as data. It is a stack machine over the opcodes of Python's `pickletools`; names of
 * classes and functions stay names, and only `host` decides what a call stands for.
 *
 * Time and memory grow linearly with the length of `bytes`.
 *
 * @param begin - where in `bytes` the pickle begins; it ends itself, so that others may follow
 * @returns its value, and where in `bytes` it ends
 * @throws PickleFault with the offset in `bytes`; `PickleEndsEarly` when more bytes could help
 */
export function unpickle(bytes: Uint8Array, host: PickleHost, begin = 0): { value: PickleValue; end: number } {
  const budget = 65_536 + 64 * bytes.length;
  const cursor = new PickleCursor(bytes, begin);
  const machine: Machine = { cursor, host, stack: [], marks: [], memo: new Map(), budget };
  for (;;) {
    const offset = machine.cursor.position;
    const opcode = machine.cursor.uint8();
    try {
      if (opcode === STOP) return { value: finish(machine), end: cursor.position };
      const operation = operations[opcode];
      if (operation === undefined) throw new Refusal(`unsupported pickle opcode 0x${opcode.toString(16)}`);
      operation(machine);
    } catch (error) {
      throw error instanceof Refusal ? new PickleFault(offset, error.message) : error;
    }
  }
}

function finish(machine: Machine): PickleValue {
  const result = pop(machine);
  if (machine.stack.length > 0) throw new Refusal('pickle ends with values left over');
  return result;
}

const STOP = 0x2e;

type Operation = (machine: Machine) => void;

/** An operation that pushes what it reads. */
const pushing =
  (read: (cursor: PickleCursor) => PickleValue): Operation =>
  (machine) =>
    void machine.stack.push(read(machine.cursor));

const recalling =
  (readIndex: (cursor: PickleCursor) => number): Operation =>
  (machine) => {
    const index = readIndex(machine.cursor);
    if (!machine.memo.has(index)) throw new Refusal(`memo entry ${index} does not exist`);
    machine.stack.push(machine.memo.get(index) as PickleValue);
  };

const memoizing =
  (readIndex: (machine: Machine) => number): Operation =>
  (machine) =>
    void machine.memo.set(readIndex(machine), top(machine));

const tupleOf =
  (length: number): Operation =>
  (machine) => {
    const items: PickleValue[] = Array.from({ length }, () => pop(machine));
    machine.stack.push(items.reverse());
  };

/** By opcode, with the names of `pickletools`. What no writer of protocols 2 to 5 emits is absent. */
const operations: Record<number, Operation> = {
  128: ({ cursor }) => checkProtocol(cursor.uint8()), // PROTO
  149: ({ cursor }) => void cursor.length64(), // FRAME
  40: ({ marks, stack }) => void marks.push(stack.length), // MARK
  48: (machine) => void pop(machine), // POP
  49: (machine) => void popToMark(machine), // POP_MARK
  50: (machine) => void machine.stack.push(top(machine)), // DUP

  78: pushing(() => null), // NONE
  136: pushing(() => true), // NEWTRUE
  137: pushing(() => false), // NEWFALSE
  74: pushing((cursor) => cursor.int32()), // BININT
  75: pushing((cursor) => cursor.uint8()), // BININT1
  77: pushing((cursor) => cursor.uint16()), // BININT2
  138: pushing((cursor) => cursor.integer(cursor.uint8())), // LONG1
  139: pushing((cursor) => cursor.integer(cursor.uint32())), // LONG4
  71: pushing((cursor) => cursor.float64()), // BINFLOAT
  140: pushing((cursor) => cursor.text(cursor.uint8())), // SHORT_BINUNICODE
  88: pushing((cursor) => cursor.text(cursor.uint32())), // BINUNICODE
  141: pushing((cursor) => cursor.text(cursor.length64())), // BINUNICODE8
  85: pushing((cursor) => cursor.text(cursor.uint8())), // SHORT_BINSTRING
  84: pushing((cursor) => cursor.text(cursor.uint32())), // BINSTRING
  67: pushing((cursor) => cursor.take(cursor.uint8())), // SHORT_BINBYTES
  66: pushing((cursor) => cursor.take(cursor.uint32())), // BINBYTES
  142: pushing((cursor) => cursor.take(cursor.length64())), // BINBYTES8
  150: pushing((cursor) => cursor.take(cursor.length64())), // BYTEARRAY8

  93: pushing(() => []), // EMPTY_LIST
  41: pushing(() => []), // EMPTY_TUPLE
  125: pushing(() => new Map()), // EMPTY_DICT
  143: pushing(() => new Set()), // EMPTY_SET
  133: tupleOf(1), // TUPLE1
  134: tupleOf(2), // TUPLE2
  135: tupleOf(3), // TUPLE3
  116: (machine) => void machine.stack.push(popToMark(machine)), // TUPLE
  108: (machine) => void machine.stack.push(popToMark(machine)), // LIST
  145: (machine) => void machine.stack.push(new Set(popToMark(machine))), // FROZENSET
  97: (machine) => append(machine, [pop(machine)]), // APPEND
  101: (machine) => append(machine, popToMark(machine)), // APPENDS
  115: (machine) => setItems(machine, [pop(machine), pop(machine)].reverse()), // SETITEM
  117: (machine) => setItems(machine, popToMark(machine)), // SETITEMS
  144: (machine) => addItems(machine, popToMark(machine)), // ADDITEMS

  104: recalling((cursor) => cursor.uint8()), // BINGET
  106: recalling((cursor) => cursor.uint32()), // LONG_BINGET
  113: memoizing(({ cursor }) => cursor.uint8()), // BINPUT
  114: memoizing(({ cursor }) => cursor.uint32()), // LONG_BINPUT
  148: memoizing(({ memo }) => memo.size), // MEMOIZE

  99: pushing((cursor) => new PickledGlobal(`${cursor.line()}.${cursor.line()}`)), // GLOBAL
  147: stackGlobal, // STACK_GLOBAL
  82: reduce, // REDUCE
  129: newObject, // NEWOBJ
  146: newObjectWithKeywords, // NEWOBJ_EX
  98: build, // BUILD
  81: (machine) => void machine.stack.push(machine.host.persistentLoad(pop(machine))), // BINPERSID
};

function checkProtocol(protocol: number): void {
  if (protocol < 2 || protocol > 5) throw new Refusal(`pickle protocol ${protocol} is not supported (2 to 5 are)`);
}

/** Values above the last mark belong to it: the stack ends there. */
function pop({ stack, marks }: Machine): PickleValue {
  if (stack.length <= (marks.at(-1) ?? 0)) throw new Refusal('pickle takes a value from an empty stack');
  return stack.pop() as PickleValue;
}

function top({ stack, marks }: Machine): PickleValue {
  if (stack.length <= (marks.at(-1) ?? 0)) throw new Refusal('pickle looks at an empty stack');
  return stack.at(-1) as PickleValue;
}

function popToMark({ stack, marks }: Machine): PickleValue[] {
  const height = marks.pop();
  if (height === undefined) throw new Refusal('pickle lacks a mark');
  return stack.splice(height);
}

function append(machine: Machine, values: PickleValue[]): void {
  const target = top(machine);
  const list = target instanceof PickledObject ? target.items : target;
  if (!Array.isArray(list)) throw new Refusal('pickle appends to what is no list');
  for (const value of values) list.push(value);
}

function setItems(machine: Machine, keysAndValues: PickleValue[]): void {
  const target = top(machine);
  const dict = target instanceof PickledObject ? target.entries : target;
  if (!(dict instanceof Map)) throw new Refusal('pickle sets items of what is no dict');
  if (keysAndValues.length % 2 !== 0) throw new Refusal('pickle sets a dict key without a value');
  for (let i = 0; i < keysAndValues.length; i += 2) dict.set(keysAndValues[i]!, keysAndValues[i + 1]!);
}

function addItems(machine: Machine, values: PickleValue[]): void {
  const target = top(machine);
  if (!(target instanceof Set)) throw new Refusal('pickle adds to what is no set');
  for (const value of values) target.add(value);
}

function stackGlobal(machine: Machine): void {
  const name = pop(machine);
  const module = pop(machine);
  if (typeof module !== 'string' || typeof name !== 'string')
    throw new Refusal('pickle names a global without strings');
  machine.stack.push(new PickledGlobal(`${module}.${name}`));
}

function reduce(machine: Machine): void {
  const args = popArguments(machine);
  const target = pop(machine);
  if (!(target instanceof PickledGlobal)) throw new Refusal('pickle calls what is no global');
  machine.stack.push(machine.host.call(target, args));
}

function popArguments(machine: Machine): PickleValue[] {
  const args = pop(machine);
  if (!Array.isArray(args)) throw new Refusal('pickle calls with arguments that are no tuple');
  for (const each of args) spend(machine, each);
  return args;
}

function spend(machine: Machine, value: PickleValue): void {
  if (typeof value === 'string' || Array.isArray(value) || value instanceof Uint8Array) machine.budget -= value.length;
  if (value instanceof Map || value instanceof Set) machine.budget -= value.size;
  machine.budget -= 1;
  if (machine.budget < 0) throw new Refusal('pickle repeats calls on the same data out of all proportion to its size');
}

function newObject(machine: Machine): void {
  const args = popArguments(machine);
  const target = pop(machine);
  if (!(target instanceof PickledGlobal)) throw new Refusal('pickle makes an instance of what is no class');
  machine.stack.push(new PickledObject(target.name, args));
}

function newObjectWithKeywords(machine: Machine): void {
  const keywords = pop(machine);
  newObject(machine);
  if (keywords instanceof Map && keywords.size > 0) (top(machine) as PickledObject).constructorArguments.push(keywords);
}

function build(machine: Machine): void {
  const state = pop(machine);
  const target = top(machine);
  if (Array.isArray(state)) for (const each of state) spend(machine, each);
  if (target instanceof PickledObject) target.state = state;
  else machine.host.setState(target, state);
}
