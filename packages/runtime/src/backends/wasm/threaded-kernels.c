// Kernels of the wasm backend that run on several threads. build-threaded-kernels.mjs compiles this file.
//
// All threads share one memory, the heap of TensorFlow.js's WebAssembly backend. The main thread describes a job in a
// slot and hands out its items with an atomic counter; every thread, the main one included, takes items until none are
// left. An item writes its own part of the result in the same order of operations as a single thread would, so results
// do not depend on the number of threads. Sums run over k in ascending order, as XNNPACK's do: the bits are the same.
//
// M, N = rows and columns of a product, K = the axis summed over
#include <wasm_simd128.h>

#define EXPORT(name) __attribute__((export_name(name)))
#define ROWS 6       // rows of a block of the product; 6 x 8 sums fill the 16 vector registers
#define COLUMNS 8
#define DEPTH 256    // steps along K between which sums stay in registers
#define SLOTS 8
#define SPINS 2000   // looks at a counter before a thread sleeps

typedef unsigned long long u64;
typedef unsigned int u32;

typedef struct { int kernel, finished, arguments[30]; } Slot;
// ticket: job number (24 bits), items of the job (20 bits), next item (20 bits)
typedef struct { u64 ticket; u32 job, sleepers; Slot slots[SLOTS]; } Control;

static int least(int a, int b) { return a < b ? a : b; }

// ---- matrix product -------------------------------------------------------------------------------------------

// Packs columns first … last of B into panels of 8 columns, each K x 8, with zeros behind the last column.
static void packPanels(const float *b, int K, int N, int kStride, int nStride, int first, int last, float *to) {
  for (int panel = first; panel < last; panel++) {
    const int column = panel * COLUMNS, width = least(COLUMNS, N - column);
    const float *from = b + column * nStride;
    if (nStride == 1 && width == COLUMNS) {
      for (int k = 0; k < K; k++, from += kStride, to += COLUMNS) {
        wasm_v128_store(to, wasm_v128_load(from));
        wasm_v128_store(to + 4, wasm_v128_load(from + 4));
      }
    } else {
      for (int k = 0; k < K; k++, from += kStride, to += COLUMNS) {
        for (int j = 0; j < COLUMNS; j++) to[j] = j < width ? from[j * nStride] : 0;
      }
    }
  }
}

// Adds `depth` steps of a packed block of rows times a packed panel to the 6 x 8 sums at `out`.
static void multiplyBlock(const float *rows, const float *panel, int depth, int isFirst, float *out, int stride) {
  const v128_t zero = wasm_f32x4_const(0, 0, 0, 0);
  v128_t l0 = zero, l1 = zero, l2 = zero, l3 = zero, l4 = zero, l5 = zero;
  v128_t r0 = zero, r1 = zero, r2 = zero, r3 = zero, r4 = zero, r5 = zero;
#define LOAD(i) l##i = wasm_v128_load(out + i * stride); r##i = wasm_v128_load(out + i * stride + 4);
  if (!isFirst) { LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) }
  const float *end = rows + depth * ROWS;
  do {
    const v128_t left = wasm_v128_load(panel), right = wasm_v128_load(panel + 4);
    v128_t value;
#define STEP(i)                                                  \
  value = wasm_v128_load32_splat(rows + i);                      \
  l##i = wasm_f32x4_add(l##i, wasm_f32x4_mul(value, left));      \
  r##i = wasm_f32x4_add(r##i, wasm_f32x4_mul(value, right));
    STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5)
    rows += ROWS;
    panel += COLUMNS;
  } while (rows < end);
#define STORE(i) wasm_v128_store(out + i * stride, l##i); wasm_v128_store(out + i * stride + 4, r##i);
  STORE(0) STORE(1) STORE(2) STORE(3) STORE(4) STORE(5)
}

// The left matrix: plain with any strides, or the patches of images that a convolution sees. A patch matrix has a row
// for each output pixel and a column for each tap and input channel; `transposed` swaps the two.
typedef struct {
  const float *values;
  int rowStride, kStride;                                       // plain
  int isPatches, transposed;                                    // patches
  int height, width, channels, outHeight, outWidth, filterWidth, strideY, strideX, padTop, padLeft;
} Left;

static const float *patchValues(const Left *left, int pixel, int tap) {
  const int x = pixel % left->outWidth, rest = pixel / left->outWidth;
  const int inY = (rest % left->outHeight) * left->strideY + tap / left->filterWidth - left->padTop;
  const int inX = x * left->strideX + tap % left->filterWidth - left->padLeft;
  if (inY < 0 || inX < 0 || inY >= left->height || inX >= left->width) return 0;
  const int image = rest / left->outHeight;
  return left->values + ((image * left->height + inY) * left->width + inX) * left->channels;
}

// Packs k … k + depth of rows row … row + count, six numbers for each k. Rows behind the last are zeros.
static void packRows(const Left *left, int row, int count, int k, int depth, float *to) {
  for (int i = 0; i < ROWS; i++) {
    float *out = to + i;
    if (i >= count) {
      for (int j = 0; j < depth; j++) out[j * ROWS] = 0;
    } else if (!left->isPatches) {
      const float *from = left->values + (row + i) * left->rowStride + k * left->kStride;
      for (int j = 0; j < depth; j++) out[j * ROWS] = from[j * left->kStride];
    } else if (left->transposed) {
      const int tap = (row + i) / left->channels, channel = (row + i) % left->channels;
      for (int j = 0; j < depth; j++) {
        const float *from = patchValues(left, k + j, tap);
        out[j * ROWS] = from ? from[channel] : 0;
      }
    } else {
      for (int j = 0; j < depth;) {
        const int tap = (k + j) / left->channels, channel = (k + j) % left->channels;
        const int length = least(depth - j, left->channels - channel);
        const float *from = patchValues(left, row + i, tap);
        for (int n = 0; n < length; n++) out[(j + n) * ROWS] = from ? from[channel + n] : 0;
        j += length;
      }
    }
  }
}

typedef struct { int K, N, firstRow, lastRow, firstPanel, lastPanel; } Part;

// Rows and panels of one product. `panels` starts at the first panel of the matrix.
static void multiplyPart(const Left *left, const float *panels, float *out, const Part *part, float *scratch) {
  float edge[ROWS * COLUMNS];
  const int K = part->K, N = part->N;
  for (int k = 0; k < K; k += DEPTH) {
    const int depth = least(DEPTH, K - k);
    for (int row = part->firstRow; row < part->lastRow; row += ROWS) {
      const int rows = least(ROWS, part->lastRow - row);
      packRows(left, row, rows, k, depth, scratch);
      for (int panel = part->firstPanel; panel < part->lastPanel; panel++) {
        const int column = panel * COLUMNS, columns = least(COLUMNS, N - column);
        const float *values = panels + (panel * K + k) * COLUMNS;
        float *to = out + row * N + column;
        if (rows == ROWS && columns == COLUMNS) {
          multiplyBlock(scratch, values, depth, k == 0, to, N);
          continue;
        }
        for (int i = 0; i < rows; i++) for (int j = 0; j < columns; j++) edge[i * COLUMNS + j] = to[i * N + j];
        multiplyBlock(scratch, values, depth, k == 0, edge, COLUMNS);
        for (int i = 0; i < rows; i++) for (int j = 0; j < columns; j++) to[i * N + j] = edge[i * COLUMNS + j];
      }
    }
  }
}

// arguments: b, panels, K, N, kStride, nStride, floats between matrices of b, panels an item
static void packItem(const int *a, int item) {
  const int K = a[2], N = a[3], panels = (N + COLUMNS - 1) / COLUMNS, parts = (panels + a[7] - 1) / a[7];
  const int matrix = item / parts, first = (item % parts) * a[7];
  float *to = (float *)a[1] + (matrix * panels + first) * K * COLUMNS;
  packPanels((const float *)a[0] + matrix * a[6], K, N, a[4], a[5], first, least(first + a[7], panels), to);
}

// arguments: a, b, out, M, K, N, rows an item, panels an item, floats between matrices of a and of b,
// row and k stride of a, k and n stride of b, whether b is packed, whether a holds patches, then those of Left
static void multiplyItem(const int *a, int item, float *scratch) {
  const int M = a[3], K = a[4], N = a[5], panels = (N + COLUMNS - 1) / COLUMNS;
  const int rowParts = (M + a[6] - 1) / a[6], panelParts = (panels + a[7] - 1) / a[7];
  const int matrix = item / (rowParts * panelParts), part = item % (rowParts * panelParts);
  const Left left = {(const float *)a[0] + matrix * a[8], a[10], a[11], a[15], a[16], a[17], a[18],
                     a[19], a[20], a[21], a[22], a[23], a[24], a[25], a[26]};
  const float *right = (const float *)a[1] + matrix * a[9];
  if (!a[14]) {
    packPanels(right, K, N, a[12], a[13], 0, panels, scratch + ROWS * DEPTH);
    right = scratch + ROWS * DEPTH;
  }
  const int firstRow = (part % rowParts) * a[6], firstPanel = (part / rowParts) * a[7];
  const Part place = {K, N, firstRow, least(firstRow + a[6], M), firstPanel, least(firstPanel + a[7], panels)};
  multiplyPart(&left, right, (float *)a[2] + matrix * M * N, &place, scratch);
}

// ---- sums, copies, random masks -------------------------------------------------------------------------------

// arguments: x, out, rows, columns, columns an item. Sums over rows in float64, as many rows would lose in float32.
static void sumItem(const int *a, int item, float *scratch) {
  const int columns = a[3], first = item * a[4], count = least(a[4], columns - first);
  const float *x = (const float *)a[0] + first;
  double *totals = (double *)scratch;
  for (int j = 0; j < count; j++) totals[j] = 0;
  for (int row = 0; row < a[2]; row++, x += columns) {
    for (int j = 0; j < count; j++) totals[j] += x[j];
  }
  float *out = (float *)a[1] + first;
  for (int j = 0; j < count; j++) out[j] = (float)totals[j];
}

static void copyRow(char *to, const char *from, int bytes) {
  for (; bytes >= 16; bytes -= 16, to += 16, from += 16) wasm_v128_store(to, wasm_v128_load(from));
  for (; bytes >= 4; bytes -= 4, to += 4, from += 4) *(int *)to = *(const int *)from;
  for (; bytes > 0; bytes--) *to++ = *from++;
}

// arguments: from, to, bytes a row, rows an item, rows in all, axes, then size, step in `from` and step in `to` of each
// axis, in bytes, the innermost axis of rows last
static void copyItem(const int *a, int item) {
  const int axes = a[5], *sizes = a + 6, *fromSteps = sizes + axes, *toSteps = fromSteps + axes;
  const int first = item * a[3], last = least(first + a[3], a[4]);
  for (int row = first; row < last; row++) {
    const char *from = (const char *)a[0];
    char *to = (char *)a[1];
    for (int axis = axes - 1, rest = row; axis >= 0; axis--) {
      const int place = rest % sizes[axis];
      rest /= sizes[axis];
      from += place * fromSteps[axis];
      to += place * toSteps[axis];
    }
    copyRow(to, from, a[2]);
  }
}

static v128_t rotate(v128_t x, int by) { return wasm_v128_or(wasm_i32x4_shl(x, by), wasm_u32x4_shr(x, 32 - by)); }

// Four blocks of Threefry-2x32-20, see ../../random/threefry.ts.
static void threefry(u32 key0, u32 key1, u32 counter, v128_t *first, v128_t *second) {
  const u32 schedule[3] = {key0, key1, key0 ^ key1 ^ 0x1bd11bda};
  v128_t x0 = wasm_i32x4_splat(key0);
  v128_t x1 = wasm_i32x4_add(wasm_i32x4_splat(counter + key1), wasm_i32x4_const(0, 1, 2, 3));
#define ROUND(by) x0 = wasm_i32x4_add(x0, x1); x1 = wasm_v128_xor(rotate(x1, by), x0);
#define INJECT(n)                                            \
  x0 = wasm_i32x4_add(x0, wasm_i32x4_splat(schedule[n % 3])); \
  x1 = wasm_i32x4_add(x1, wasm_i32x4_splat(schedule[(n + 1) % 3] + n));
  ROUND(13) ROUND(15) ROUND(26) ROUND(6) INJECT(1)
  ROUND(17) ROUND(29) ROUND(16) ROUND(24) INJECT(2)
  ROUND(13) ROUND(15) ROUND(26) ROUND(6) INJECT(3)
  ROUND(17) ROUND(29) ROUND(16) ROUND(24) INJECT(4)
  ROUND(13) ROUND(15) ROUND(26) ROUND(6) INJECT(5)
  *first = x0;
  *second = x1;
}

// arguments: out, elements, blocks an item (a multiple of 4), key words, threshold of 16 bits, bits of the kept value.
// The same elements as dropoutMask in ../../random/random-kernels.ts: four a block, 16 bits each.
static void dropoutItem(const int *a, int item) {
  const int first = item * a[2], blocks = (a[1] + 3) / 4, last = least(first + a[2], blocks);
  const u32 threshold = a[5];
  int *out = (int *)a[0];
  for (int block = first; block < last; block += 4) {
    v128_t words[2];
    threefry(a[3], a[4], block, &words[0], &words[1]);
    const u32 *bits = (const u32 *)words;
    for (int j = 0; j < 16; j++) {
      const u32 word = bits[(j / 2 % 2) * 4 + j / 4];
      const int at = block * 4 + j;
      if (at < a[1]) out[at] = (j % 2 ? word >> 16 : word & 0xffff) < threshold ? a[6] : 0;
    }
  }
}

// ---- threads --------------------------------------------------------------------------------------------------

static void runItem(const Slot *slot, int item, float *scratch) {
  switch (slot->kernel) {
    case 0: return packItem(slot->arguments, item);
    case 1: return multiplyItem(slot->arguments, item, scratch);
    case 2: return sumItem(slot->arguments, item, scratch);
    case 3: return copyItem(slot->arguments, item);
    case 4: return dropoutItem(slot->arguments, item);
  }
}

// Takes items of the present job until none is left. A slot stays as it is while one of its items is not finished, and
// the ticket names job, item and count at once, so a thread that comes late cannot mix up two jobs.
static void takeItems(Control *control, float *scratch) {
  for (;;) {
    const u64 ticket = __atomic_fetch_add(&control->ticket, 1, __ATOMIC_SEQ_CST);
    const int item = ticket & 0xfffff, count = (ticket >> 20) & 0xfffff;
    if (item >= count) return;
    Slot *slot = &control->slots[(ticket >> 40) % SLOTS];
    runItem(slot, item, scratch);
    if (__atomic_add_fetch(&slot->finished, 1, __ATOMIC_SEQ_CST) == count) {
      __builtin_wasm_memory_atomic_notify(&slot->finished, 1);
    }
  }
}

// Runs a job to its end on all threads. Its arguments are in the slot that `nextSlot` gave.
EXPORT("run") void run(Control *control, int kernel, int count, float *scratch) {
  const u32 job = control->job + 1;
  Slot *slot = &control->slots[job % SLOTS];
  slot->kernel = kernel;
  __atomic_store_n(&slot->finished, 0, __ATOMIC_SEQ_CST);
  const u64 ticket = ((u64)(job & 0xffffff) << 40) | ((u64)count << 20);
  __atomic_store_n(&control->ticket, ticket, __ATOMIC_SEQ_CST);
  __atomic_store_n(&control->job, job, __ATOMIC_SEQ_CST);
  if (count > 1 && __atomic_load_n(&control->sleepers, __ATOMIC_SEQ_CST)) {
    __builtin_wasm_memory_atomic_notify((int *)&control->job, count - 1);
  }
  takeItems(control, scratch);
  for (int spins = 0;; spins++) {
    const int finished = __atomic_load_n(&slot->finished, __ATOMIC_SEQ_CST);
    if (finished == count) return;
    if (spins >= SPINS) __builtin_wasm_memory_atomic_wait32(&slot->finished, finished, 1000000);
  }
}

EXPORT("nextSlot") int *nextSlot(Control *control) { return control->slots[(control->job + 1) % SLOTS].arguments; }

// A worker's whole life: it takes items of each job, and sleeps between jobs that are far apart.
EXPORT("work") void work(Control *control, float *scratch) {
  for (u32 seen = control->job;;) {
    takeItems(control, scratch);
    int spins = 0;
    while (__atomic_load_n(&control->job, __ATOMIC_SEQ_CST) == seen && spins < SPINS) spins++;
    __atomic_add_fetch(&control->sleepers, 1, __ATOMIC_SEQ_CST);
    __builtin_wasm_memory_atomic_wait32((int *)&control->job, seen, -1);
    __atomic_sub_fetch(&control->sleepers, 1, __ATOMIC_SEQ_CST);
    seen = __atomic_load_n(&control->job, __ATOMIC_SEQ_CST);
  }
}
