import { COST, PickleBudget } from './pickle-budget.js';
import { PickleCursor } from './pickle-cursor.js';
import { describe, PickledGlobal, PickledObject, PickleFault, type PickleValue, Refusal } from './pickle-values.js';

/** Gives meaning to what a pickle refers to. Each method may throw `Refusal`. */
export type PickleHost = {
  /** The object that is stored outside the pickle under `id`. */
  persistentLoad(id: PickleValue): PickleValue;
  /** Takes the place of calling `target(...args)` in Python. */
  call(target: PickleValue, args: PickleValue[]): PickleValue;
  /** Takes the place of `target.__setstate__(state)` in Python. PickledObjects never come here. */
  setState(target: PickleValue, state: PickleValue): void;
};

export type UnpickleOptions = {
  /** Where in the bytes the pickle begins; it ends itself, so that others may follow. */
  begin?: number;
  /** What its values may take; by default what a file of the bytes' length may. */
  budget?: PickleBudget;
};

type Machine = {
  cursor: PickleCursor;
  host: PickleHost;
  stack: PickleValue[];
  /** Heights of the stack at the marks. */
  marks: number[];
  memo: Memo;
  budget: PickleBudget;
};

/** Values by their index. Python counts the indices up from 0; those in another order are kept apart. */
type Memo = { inOrder: PickleValue[]; others: Map<number, PickleValue> };

/**
 * Reads a pickle of protocol 2 to 5 as data. It is a stack machine over the opcodes of Python's `pickletools`; names of
 * classes and functions stay names, and only `host` decides what a call means.
 *
 * Time and memory have the bound that the budget sets.
 *
 * @returns its value, and where in `bytes` it ends
 * @throws PickleFault with the offset in `bytes`; `PickleEndsEarly` when more bytes could help
 */
export function unpickle(
  bytes: Uint8Array,
  host: PickleHost,
  { begin = 0, budget = new PickleBudget(bytes.length) }: UnpickleOptions = {},
): { value: PickleValue; end: number } {
  const cursor = new PickleCursor(bytes, begin);
  const machine: Machine = { cursor, host, stack: [], marks: [], memo: { inOrder: [], others: new Map() }, budget };
  let offset = begin;
  try {
    for (;;) {
      offset = cursor.position;
      const opcode = cursor.uint8();
      if (opcode === STOP) return { value: finish(machine), end: cursor.position };
      const operation = operations[opcode];
      if (operation === undefined) throw new Refusal(`unsupported pickle opcode 0x${opcode.toString(16)}`);
      budget.spend(COST.operation);
      operation(machine);
    }
  } catch (error) {
    throw error instanceof Refusal ? new PickleFault(offset, error.message, error.isSound) : error;
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
  (cost: number, read: (cursor: PickleCursor) => PickleValue): Operation =>
  ({ budget, stack, cursor }) => {
    budget.spend(cost);
    stack.push(read(cursor));
  };

/** An operation that pushes text or bytes behind their length. */
const pushingRun =
  (
    cost: number,
    perByte: number,
    readLength: (cursor: PickleCursor) => number,
    read: (cursor: PickleCursor, length: number) => PickleValue,
  ): Operation =>
  ({ budget, stack, cursor }) => {
    const length = readLength(cursor);
    budget.spend(cost + perByte * Math.min(length, cursor.bytes.length));
    stack.push(read(cursor, length));
  };

const pushingText = (readLength: (cursor: PickleCursor) => number) =>
  pushingRun(COST.text, 2, readLength, (cursor, length) => cursor.text(length));

const pushingOldText = (readLength: (cursor: PickleCursor) => number) =>
  pushingRun(COST.bytes, 2, readLength, (cursor, length) => cursor.textOrBytes(length));

const pushingBytes = (readLength: (cursor: PickleCursor) => number) =>
  pushingRun(COST.bytes, 1, readLength, (cursor, length) => cursor.take(length));

const recalling =
  (readIndex: (cursor: PickleCursor) => number): Operation =>
  ({ cursor, memo, stack }) => {
    const index = readIndex(cursor);
    const value = index < memo.inOrder.length ? memo.inOrder[index] : memo.others.get(index);
    if (value === undefined) throw new Refusal(`memo entry ${index} does not exist`);
    stack.push(value);
  };

const memoizing =
  (readIndex: (machine: Machine) => number): Operation =>
  (machine) => {
    const { inOrder, others } = machine.memo;
    const index = readIndex(machine);
    const isInOrder = index <= inOrder.length;
    machine.budget.spend(isInOrder ? COST.memo : COST.memoOutOfOrder);
    if (isInOrder) inOrder[index] = top(machine);
    else others.set(index, top(machine));
  };

const tupleOf =
  (length: number): Operation =>
  (machine) => {
    machine.budget.spend(COST.list + COST.item * length);
    const items: PickleValue[] = Array.from({ length }, () => pop(machine));
    machine.stack.push(items.reverse());
  };

const uint8 = (cursor: PickleCursor) => cursor.uint8();
const uint32 = (cursor: PickleCursor) => cursor.uint32();
const length64 = (cursor: PickleCursor) => cursor.length64();

/** By opcode, with the names of `pickletools`. What no writer of protocols 2 to 5 emits is absent. */
const operations: Record<number, Operation> = {
  128: ({ cursor }) => checkProtocol(cursor.uint8()), // PROTO
  149: ({ cursor }) => void cursor.length64(), // FRAME
  40: ({ marks, stack }) => void marks.push(stack.length), // MARK
  48: (machine) => void pop(machine), // POP
  49: (machine) => void popToMark(machine), // POP_MARK
  50: (machine) => void machine.stack.push(top(machine)), // DUP

  78: pushing(0, () => null), // NONE
  136: pushing(0, () => true), // NEWTRUE
  137: pushing(0, () => false), // NEWFALSE
  74: pushing(0, (cursor) => cursor.int32()), // BININT
  75: pushing(0, uint8), // BININT1
  77: pushing(0, (cursor) => cursor.uint16()), // BININT2
  138: pushing(COST.number, (cursor) => cursor.integer(cursor.uint8())), // LONG1
  139: pushing(COST.number + 1024, (cursor) => cursor.integer(cursor.uint32())), // LONG4
  71: pushing(COST.number, (cursor) => cursor.float64()), // BINFLOAT
  140: pushingText(uint8), // SHORT_BINUNICODE
  88: pushingText(uint32), // BINUNICODE
  141: pushingText(length64), // BINUNICODE8
  85: pushingOldText(uint8), // SHORT_BINSTRING
  84: pushingOldText(uint32), // BINSTRING
  67: pushingBytes(uint8), // SHORT_BINBYTES
  66: pushingBytes(uint32), // BINBYTES
  142: pushingBytes(length64), // BINBYTES8
  150: pushingBytes(length64), // BYTEARRAY8

  93: pushing(COST.list, () => []), // EMPTY_LIST
  41: pushing(COST.list, () => []), // EMPTY_TUPLE
  125: pushing(COST.dict, () => new Map()), // EMPTY_DICT
  143: pushing(COST.dict, () => new Set()), // EMPTY_SET
  133: tupleOf(1), // TUPLE1
  134: tupleOf(2), // TUPLE2
  135: tupleOf(3), // TUPLE3
  116: (machine) => void machine.stack.push(popList(machine)), // TUPLE
  108: (machine) => void machine.stack.push(popList(machine)), // LIST
  145: frozenSet, // FROZENSET
  97: (machine) => append(machine, [pop(machine)]), // APPEND
  101: (machine) => append(machine, popToMark(machine)), // APPENDS
  115: (machine) => setItems(machine, [pop(machine), pop(machine)].reverse()), // SETITEM
  117: (machine) => setItems(machine, popToMark(machine)), // SETITEMS
  144: (machine) => addItems(machine, popToMark(machine)), // ADDITEMS

  104: recalling(uint8), // BINGET
  106: recalling(uint32), // LONG_BINGET
  113: memoizing(({ cursor }) => cursor.uint8()), // BINPUT
  114: memoizing(({ cursor }) => cursor.uint32()), // LONG_BINPUT
  148: memoizing(({ memo }) => memo.inOrder.length + memo.others.size), // MEMOIZE

  99: pushing(COST.global, (cursor) => new PickledGlobal(`${cursor.line()}.${cursor.line()}`)), // GLOBAL
  147: stackGlobal, // STACK_GLOBAL
  82: reduce, // REDUCE
  129: newObject, // NEWOBJ
  146: newObjectWithKeywords, // NEWOBJ_EX
  98: build, // BUILD
  81: persistentId, // BINPERSID
};

function checkProtocol(protocol: number): void {
  if (protocol >= 2 && protocol <= 5) return;
  throw new Refusal(`pickle protocol ${protocol} is not supported (2 to 5 are): save it again with torch.save`, true);
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

function popToMark({ stack, marks, budget }: Machine): PickleValue[] {
  const height = marks.pop();
  if (height === undefined) throw new Refusal('pickle lacks a mark');
  budget.spend(COST.item * (stack.length - height));
  return stack.splice(height);
}

function popList(machine: Machine): PickleValue[] {
  machine.budget.spend(COST.list);
  return popToMark(machine);
}

function append(machine: Machine, values: PickleValue[]): void {
  const target = top(machine);
  const list = target instanceof PickledObject ? target.items : target;
  if (!Array.isArray(list)) throw new Refusal('pickle appends to what is not a list');
  machine.budget.spend(COST.item * values.length);
  for (const value of values) list.push(value);
}

function setItems(machine: Machine, keysAndValues: PickleValue[]): void {
  const target = top(machine);
  const dict = target instanceof PickledObject ? target.entries : target;
  if (!(dict instanceof Map)) throw new Refusal('pickle sets items of what is not a dict');
  if (keysAndValues.length % 2 !== 0) throw new Refusal('pickle sets a dict key without a value');
  machine.budget.spend((COST.entry * keysAndValues.length) / 2);
  for (let i = 0; i < keysAndValues.length; i += 2) {
    machine.budget.spendOnKey(keysAndValues[i]!);
    dict.set(keysAndValues[i]!, keysAndValues[i + 1]!);
  }
}

function addItems(machine: Machine, values: PickleValue[]): void {
  const target = top(machine);
  if (target instanceof PickledObject) append(machine, values);
  else if (target instanceof Set) fillSet(machine, target, values);
  else throw new Refusal('pickle adds to what is not a set');
}

function frozenSet(machine: Machine): void {
  machine.budget.spend(COST.dict);
  const values = popToMark(machine);
  machine.stack.push(fillSet(machine, new Set(), values));
}

function fillSet({ budget }: Machine, set: Set<PickleValue>, values: PickleValue[]): Set<PickleValue> {
  budget.spend(COST.entry * values.length);
  for (const value of values) {
    budget.spendOnKey(value);
    set.add(value);
  }
  return set;
}

function stackGlobal(machine: Machine): void {
  const name = pop(machine);
  const module = pop(machine);
  if (typeof module !== 'string' || typeof name !== 'string')
    throw new Refusal('pickle names a global without strings');
  machine.budget.spend(COST.global + 2 * (module.length + name.length));
  machine.stack.push(new PickledGlobal(`${module}.${name}`));
}

function persistentId(machine: Machine): void {
  machine.budget.spend(COST.object);
  machine.stack.push(machine.host.persistentLoad(pop(machine)));
}

function reduce(machine: Machine): void {
  const args = popArguments(machine);
  const target = pop(machine);
  machine.budget.spend(COST.object);
  machine.stack.push(machine.host.call(target, args));
}

function popArguments(machine: Machine): PickleValue[] {
  const args = pop(machine);
  if (!Array.isArray(args)) throw new Refusal('pickle calls with arguments that are not a tuple');
  for (const value of args) machine.budget.spendOn(value);
  machine.budget.spendOn(args);
  return args;
}

function newObject(machine: Machine): void {
  const args = popArguments(machine);
  const target = pop(machine);
  machine.budget.spend(COST.object);
  if (!(target instanceof PickledGlobal)) throw new Refusal(`pickle makes an instance of ${describe(target)}`);
  machine.stack.push(new PickledObject(target.name, [...args]));
}

function newObjectWithKeywords(machine: Machine): void {
  const keywords = pop(machine);
  newObject(machine);
  if (keywords instanceof Map && keywords.size > 0) (top(machine) as PickledObject).constructorArguments.push(keywords);
}

function build(machine: Machine): void {
  const state = pop(machine);
  const target = top(machine);
  if (target instanceof PickledObject) {
    target.state = state;
    return;
  }
  if (Array.isArray(state)) for (const value of state) machine.budget.spendOn(value);
  machine.host.setState(target, state);
}
