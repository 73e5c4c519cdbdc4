/** CUDA C++ of `SampleSymbols`; `sample-symbols.ts` next to this file calls it. */
export const sampleSymbolsSource = `
// Draws the symbols of all groups of channels for up to 16 rows (positions) in one launch.
//
// What it computes. For each group c in turn: the input (start of the sequence, or the embedding of the symbol drawn
// before, plus the position), DEPTH blocks (norm, modulation, attention over groups 0 ... c, MLP), the final norms, the
// logits, and the draw: the largest logit / temperature + noise. Products take bfloat16 operands and sum in float32;
// everything else is float32; what one multiprocessor hands to others is rounded to bfloat16.
//
// Norms are part of the products behind them. With scale = norm weight * (1 + modulation's scale), offset = norm bias *
// (1 + modulation's scale) + modulation's shift, mean and deviation of the row x:
//   W * (scale * (x - mean) / deviation + offset) = (W * (scale * x) - mean * (W * scale)) / deviation + W * offset
// Whoever computes a part of x publishes scale * x and its sums of x and x * x; W * scale and W * offset come as operands.
//
// Sizes: width 1024, 8 heads of 128, hidden width 4096, at most 16 groups, 8 to 1024 symbols in multiples of 8.
//
// How the work is divided. 128 thread blocks, one on each multiprocessor, stay for the complete launch. Block b computes
// outputs 24b ... 24b+23 of the query/key/value product, 8b ... 8b+7 of both products that end in the residual stream,
// 32b ... 32b+31 of the MLP's first product, and symbols 8b ... 8b+7 of the classifier. It keeps its 8 columns of the
// residual stream in registers. Attention of row r and head h belongs to block 8r + h.
// Sixteen warps split the inputs of each product among them and add their parts in a fixed order, so equal inputs give
// equal results. Shared memory holds the weights of one block of layers. As soon as a product is done, its weights are
// replaced by those of the next block of layers, by asynchronous copies that continue while the warps wait for activations:
// that hides the reading of weights behind the exchange of activations.
//
// How blocks exchange activations. Through a board in device memory that starts out filled with EMPTY words, which no
// result ever equals. Each word is written once in a launch, and readers poll until it is not EMPTY: data and readiness
// travel together, without barriers or fences. All blocks must be resident at once; a reader that waits for some seconds
// ends the launch with an assertion.
//
// What limits it. The chain of exchanges: 21 a group, each one store and one load through the L2 cache under the load of the
// weights' stream, with a product between them. The stream itself (100 MB a group for L's head) would take 23 us a group.

#define WIDTH 1024
#define HEADS 8
#define HEAD_WIDTH 128
#define HIDDEN 4096
#define BLOCKS 128
#define WARPS 16
#define HALVES ((ROWS + 7) / 8)
#define EPSILON 1e-6f
#define EMPTY 0xffffffffu
#define MOST_POLLS (1u << 23)

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;

// Shared memory. Rows of weights are padded by 64 bytes, which puts the reads of a quarter warp into different banks.
#define ROW_BYTES (WIDTH * 2 + 64)
#define LONG_ROW_BYTES (HIDDEN * 2 + 64)
#define QKV_AT 0
#define PROJ_AT (QKV_AT + 24 * ROW_BYTES)
#define FC1_AT (PROJ_AT + 8 * ROW_BYTES)
#define FC2_AT (FC1_AT + 32 * ROW_BYTES)
#define WIDE_SUMS_AT (FC2_AT + 8 * LONG_ROW_BYTES)
#define SUMS_AT (WIDE_SUMS_AT + WARPS * 4 * 64 * 4)
#define STATS_AT (SUMS_AT + WARPS * 64 * 4)
#define POINTERS_AT (STATS_AT + 2 * WARPS * 16 * 8)
#define SYMBOLS_AT (POINTERS_AT + 8 * 256)
#define ROW_STATS_AT (SYMBOLS_AT + 4 * 16)
#define SCORES_AT (ROW_STATS_AT + 8 * 16)
#define GATES_AT (SCORES_AT + 4 * 16)
#define STAGES 21

// Places of the operands: see sample-symbols.ts, which lists them in this order. The results follow the board.
#define AT_START 0
#define AT_FINAL 1
#define AT_NOISE 2
#define AT_TEMPERATURE 3
#define AT_POSITIONS 4
#define AT_FINAL_NORM 5
#define AT_TABLES 7
#define AT_CLASSIFIERS (AT_TABLES + GROUPS - 1)
#define AT_BLOCKS (AT_CLASSIFIERS + 2 * GROUPS)
#define AT_BOARD (AT_BLOCKS + BLOCK_POINTERS * DEPTH)
// Places among a block's operands: scales bfloat16 [ROWS, GROUPS, WIDTH], modulation bfloat16 [ROWS, GROUPS, 6 * WIDTH],
// SHIFTS float32 [ROWS, GROUPS, 2, outputs]: W * scale, then W * offset.
enum { SCALE1, SHIFTS1, SCALE2, SHIFTS2, MODULATION, QKV_W, QKV_B, QNORM_W, QNORM_B, KNORM_W, KNORM_B, PROJ_W, PROJ_B, FC1_W, FC1_B,
       FC2_W, FC2_B, BLOCK_POINTERS };

// The board: for each group and block a slot of bfloat16 activations and of float32 sums over the columns of each thread block,
// then logits, then normalized keys. Places in bfloat16 elements.
#define SLOT_QKV 0
#define SLOT_ATTENDED (ROWS * 3 * WIDTH)
#define SLOT_MIDDLE (SLOT_ATTENDED + ROWS * WIDTH)
#define SLOT_HIDDEN (SLOT_MIDDLE + ROWS * WIDTH)
#define SLOT_OUTPUT (SLOT_HIDDEN + ROWS * HIDDEN)
#define SLOT_MIDDLE_SUMS (SLOT_OUTPUT + ROWS * WIDTH)
#define SLOT_OUTPUT_SUMS (SLOT_MIDDLE_SUMS + ROWS * BLOCKS * 4)
#define SLOT_SIZE (SLOT_OUTPUT_SUMS + ROWS * BLOCKS * 4)
#define BOARD_LOGITS ((u64)SLOT_SIZE * GROUPS * DEPTH)
#define BOARD_KEYS (BOARD_LOGITS + 2ull * GROUPS * ROWS * SYMBOLS)

extern "C" __device__ void __assertfail(const char*, const char*, u32, const char*, size_t);

__device__ __noinline__ void give_up() {
  __assertfail("SampleSymbols: a block waited for seconds for another one that does not run; its 128 blocks must be resident "
               "at once. Set TB_PLAIN=SampleSymbols to run the plain program", "sample-symbols.cu", 0, "wait", 1);
  asm volatile("trap;");
}

// ---- device memory

__device__ __forceinline__ uint4 load_piece(const u16* p) {
  uint4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
__device__ __forceinline__ uint2 load_pair(const u16* p) {
  uint2 v;
  asm volatile("ld.relaxed.gpu.global.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
  return v;
}
__device__ __forceinline__ u32 load_word(const void* p) {
  u32 v;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}
// Writes a word of the board, which is EMPTY so far and so keeps exactly the bits of v. The reduction is done in the L2 cache,
// where readers look, and reaches it sooner than a store: the complete launch takes 9% less time.
__device__ __forceinline__ void store_word(void* p, u32 v) {
  asm volatile("red.relaxed.gpu.global.and.b32 [%0], %1;" :: "l"(p), "r"(v));
}
__device__ __forceinline__ void store_pair(void* p, u32 a, u32 b) {
  store_word(p, a);
  store_word((u32*)p + 1, b);
}
__device__ __forceinline__ bool is_missing(uint4 v) {
  return v.x == EMPTY || v.y == EMPTY || v.z == EMPTY || v.w == EMPTY;
}

// One lane waits for its first word, so that waiting warps leave the memory system to others.
__device__ __forceinline__ void await_first(const void* p, u32 lane) {
  if (lane == 0) {
    u32 polls = 0;
    while (load_word(p) == EMPTY) if (++polls > MOST_POLLS) give_up();
  }
  __syncwarp();
}

// Two pieces next to each other.
__device__ __forceinline__ void load_pieces(uint4 (&v)[2], const u16* p) { v[0] = load_piece(p); v[1] = load_piece(p + 8); }
// Loads again what has not been written yet, of the first pieces of up to N.
template<int N> __device__ __forceinline__ void complete(uint4 (&v)[N], u32 pieces, const u16* p, u32 distance) {
  for (u32 polls = 0;; polls++) {
    bool is_complete = true;
    #pragma unroll
    for (int i = 0; i < N; i++) if (i < pieces && is_missing(v[i])) { is_complete = false; v[i] = load_piece(p + distance * i); }
    if (is_complete) break;
    if (polls > MOST_POLLS) give_up();
  }
}
// Pieces of 8 elements, 32 elements apart, of rows g and g + 8 of a matrix: what a product takes. Zeros where a row is padding.
template<int N> __device__ __forceinline__ void receive(uint4 (&v)[2][N], u32 pieces, const u16* p, u32 row_size, u32 g) {
  #pragma unroll
  for (int half = 0; half < 2; half++) {
    const bool is_row = half < HALVES && half * 8 + g < ROWS;
    #pragma unroll
    for (int i = 0; i < N; i++) v[half][i] = is_row && i < pieces ? load_piece(p + (half * 8 + g) * row_size + 32 * i) : make_uint4(0, 0, 0, 0);
  }
  #pragma unroll
  for (int half = 0; half < HALVES; half++) complete<N>(v[half], pieces, p + (half * 8 + g) * row_size, 32);
  __syncwarp();
}

// 16 bytes that no block writes during the launch. Volatile, so that the load is issued where it stands: ahead of a wait, which
// then covers its latency.
__device__ __forceinline__ uint4 fetch(const void* p) {
  uint4 v;
  asm volatile("ld.global.nc.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
  return v;
}
__device__ __forceinline__ u32 fetch_half(const u16* p) {
  u16 v;
  asm volatile("ld.global.nc.u16 %0, [%1];" : "=h"(v) : "l"(p));
  return v;
}
__device__ __forceinline__ u32 fetch_word(const void* p) {
  u32 v;
  asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}

// ---- numbers

__device__ __forceinline__ float low(u32 word) { return __uint_as_float(word << 16); }
__device__ __forceinline__ float high(u32 word) { return __uint_as_float(word & 0xffff0000u); }
// NaN becomes 0x7fff, so no pair equals EMPTY.
__device__ __forceinline__ u32 pack(float first, float second) {
  u32 word;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(second), "f"(first));
  return word;
}
// A float's bits, which are never EMPTY.
__device__ __forceinline__ u32 number_word(float x) { return x == x ? __float_as_uint(x) : 0x7fc00000u; }
__device__ __forceinline__ float round_bf16(float x) { return low(pack(x, 0.0f)); }
__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }

__device__ __forceinline__ void floats(const uint4& v, float* x) {
  x[0] = __uint_as_float(v.x); x[1] = __uint_as_float(v.y); x[2] = __uint_as_float(v.z); x[3] = __uint_as_float(v.w);
}
__device__ __forceinline__ void unpack(const uint4& v, float* x) {
  x[0] = low(v.x); x[1] = high(v.x); x[2] = low(v.y); x[3] = high(v.y);
  x[4] = low(v.z); x[5] = high(v.z); x[6] = low(v.w); x[7] = high(v.w);
}

__device__ __forceinline__ void multiply(float* c, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// ---- shared memory and its barriers

__device__ __forceinline__ u32 shared_address(const void* p) { return (u32)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void sync_workers() { asm volatile("bar.sync 1, 512;" ::: "memory"); }
__device__ __forceinline__ void gate_init(u32 gate, u32 count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(gate), "r"(count) : "memory");
}
__device__ __forceinline__ void gate_expect(u32 gate, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(gate), "r"(bytes) : "memory");
}
__device__ __forceinline__ void gate_wait(u32 gate, u32 parity) {
  for (u32 tries = 0;; tries++) {
    u32 done;
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
      : "=r"(done) : "r"(gate), "r"(parity) : "memory");
    if (done) return;
    if (tries > MOST_POLLS) give_up();
  }
}
__device__ __forceinline__ void copy_row(u32 target, const u16* source, u32 bytes, u32 gate, u64 policy) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%0], [%1], %2, [%3], %4;"
    :: "r"(target), "l"(source), "r"(bytes), "r"(gate), "l"(policy) : "memory");
}

// ---- the pieces of a phase

struct Statistics { float mean, scale; };

__device__ __forceinline__ Statistics statistics_of(float sum, float squares) {
  const float mean = sum * (1.0f / WIDTH);
  return { mean, rsqrtf(fmaxf(squares * (1.0f / WIDTH) - mean * mean, 0.0f) + EPSILON) };
}

// Mean and 1 / deviation of up to 16 rows, of which this thread holds 16 of the 1024 columns of rows g and g + 8.
__device__ __forceinline__ void statistics(const float (&x)[2][16], float2* stats, Statistics (&result)[2], u32 warp, u32 lane) {
  const u32 g = lane >> 2, t = lane & 3;
  #pragma unroll
  for (int half = 0; half < 2; half++) {
    if (half == HALVES) break;
    float sum[4] = {}, squares[4] = {};
    #pragma unroll
    for (int i = 0; i < 16; i++) { sum[i & 3] += x[half][i]; squares[i & 3] += x[half][i] * x[half][i]; }
    float2 part = make_float2((sum[0] + sum[1]) + (sum[2] + sum[3]), (squares[0] + squares[1]) + (squares[2] + squares[3]));
    part.x += __shfl_xor_sync(~0u, part.x, 1); part.y += __shfl_xor_sync(~0u, part.y, 1);
    part.x += __shfl_xor_sync(~0u, part.x, 2); part.y += __shfl_xor_sync(~0u, part.y, 2);
    if (t == 0) stats[warp * 16 + half * 8 + g] = part;
  }
  sync_workers();
  #pragma unroll
  for (int half = 0; half < 2; half++) {
    if (half == HALVES) break;
    float2 part[4];
    #pragma unroll
    for (int i = 0; i < 4; i++) part[i] = stats[(t + 4 * i) * 16 + half * 8 + g];
    float sum = (part[0].x + part[1].x) + (part[2].x + part[3].x), squares = (part[0].y + part[1].y) + (part[2].y + part[3].y);
    sum += __shfl_xor_sync(~0u, sum, 1); squares += __shfl_xor_sync(~0u, squares, 1);
    sum += __shfl_xor_sync(~0u, sum, 2); squares += __shfl_xor_sync(~0u, squares, 2);
    result[half] = statistics_of(sum, squares);
  }
}

__device__ __forceinline__ void load_floats(const float* p, float* x) {
  const float4 a = __ldg((const float4*)p), b = __ldg((const float4*)p + 1);
  x[0] = a.x; x[1] = a.y; x[2] = a.z; x[3] = a.w; x[4] = b.x; x[5] = b.y; x[6] = b.z; x[7] = b.w;
}

// This warp's part of NT tiles of 8 outputs, over blocks of 32 inputs from first_k on. Few tiles are summed in
// several chains, which do not wait for one another.
template<int NT, int BLOCKS_OF_K> __device__ __forceinline__ void product(
    float (&sums)[NT][4], u32 tiles, u32 blocks, const uint4 (&a)[2][BLOCKS_OF_K], const unsigned char* weights, u32 row_bytes, u32 first_k, u32 lane) {
  constexpr int CHAINS = NT == 1 ? 4 : 1;
  const u32 g = lane >> 2, t = lane & 3;
  float chain[CHAINS][NT][4] = {};
  #pragma unroll
  for (int k = 0; k < BLOCKS_OF_K; k++) {
    if (k >= blocks) break;
    #pragma unroll
    for (int n = 0; n < NT; n++) {
      if (n >= tiles) break;
      const uint4 b = *(const uint4*)(weights + (n * 8 + g) * row_bytes + (first_k + 32 * k + 8 * t) * 2);
      multiply(chain[(2 * k) % CHAINS][n], a[0][k].x, a[1][k].x, a[0][k].y, a[1][k].y, b.x, b.y);
      multiply(chain[(2 * k + 1) % CHAINS][n], a[0][k].z, a[1][k].z, a[0][k].w, a[1][k].w, b.z, b.w);
    }
  }
  #pragma unroll
  for (int n = 0; n < NT; n++) {
    #pragma unroll
    for (int i = 0; i < 4; i++) {
      sums[n][i] = chain[0][n][i];
      if (CHAINS == 4) sums[n][i] = (sums[n][i] + chain[1 % CHAINS][n][i]) + (chain[2 % CHAINS][n][i] + chain[3 % CHAINS][n][i]);
    }
  }
}

// Adds the warps' parts in order. Thread o < 64 * NT gets row (o % 64) / 8 of the half, output 8 * (o / 64) + o % 8.
template<int NT> __device__ __forceinline__ float add_parts(const float (&sums)[NT][4], float* shared, int half, u32 warp, u32 lane) {
  const u32 thread = warp * 32 + lane;
  #pragma unroll
  for (int n = 0; n < NT; n++) {
    const float2 own = half == 0 ? make_float2(sums[n][0], sums[n][1]) : make_float2(sums[n][2], sums[n][3]);
    *(float2*)(shared + (warp * NT + n) * 64 + lane * 2) = own;
  }
  sync_workers();
  float total[4] = {};
  if (thread < NT * 64) {
    #pragma unroll
    for (int w = 0; w < WARPS; w++) total[w & 3] += shared[w * NT * 64 + thread];
  }
  return (total[0] + total[1]) + (total[2] + total[3]);
}

// A thread's value of the residual stream, times the scale of the norm behind it; eight lanes together their sums of the values
// and of their squares.
__device__ __forceinline__ void publish(u16* target, u16* sums, u32 row, u32 column, float value, float scale) {
  const float scaled = value * scale, next = __shfl_down_sync(~0u, scaled, 1);
  float sum = value, squares = value * value;
  #pragma unroll
  for (int off = 1; off < 8; off <<= 1) {
    sum += __shfl_xor_sync(~0u, sum, off);
    squares += __shfl_xor_sync(~0u, squares, off);
  }
  if (row >= ROWS) return;
  if ((column & 1) == 0) store_word(target + row * WIDTH + column, pack(scaled, next));
  if ((column & 7) == 0) store_pair(sums + (row * BLOCKS + column / 8) * 4, number_word(sum), number_word(squares));
}

extern "C" __global__ void __launch_bounds__(512, 1) sample_symbols(POINTER_PARAMETERS) {
  extern __shared__ __align__(128) unsigned char shared[];
  const void** pointers = (const void**)(shared + POINTERS_AT);
  float* wide_sums = (float*)(shared + WIDE_SUMS_AT);
  float* narrow_sums = (float*)(shared + SUMS_AT);
  float2* stats = (float2*)(shared + STATS_AT);
  float2* more_stats = stats + WARPS * 16;
  Statistics* row_stats = (Statistics*)(shared + ROW_STATS_AT);
  int* symbols = (int*)(shared + SYMBOLS_AT);
  float* scores = (float*)(shared + SCORES_AT);
  const u32 gates = shared_address(shared + GATES_AT);
  const u32 thread = threadIdx.x, warp = thread >> 5, lane = thread & 31, g = lane >> 2, t = lane & 3;
  const u32 block = blockIdx.x;
  const bool classifies = block * 8 < SYMBOLS;
  #define FULL(buffer) (gates + 8 * (buffer))

  if (thread == 0) {
    KEEP_POINTERS
    for (int i = 0; i < 4; i++) gate_init(FULL(i), 1);
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
  }
  __syncthreads();
  #define BLOCK_POINTER(layer, which) (pointers[AT_BLOCKS + BLOCK_POINTERS * (layer) + (which)])
  // Three tenths of the weights, about 30 MB, stay in the L2 cache from group to group; the others, which would displace one
  // another before they are read again, shall displace nothing else.
  u64 policy;
  asm volatile("createpolicy.fractional.L2::evict_last.L2::evict_first.b64 %0, 0.3;" : "=l"(policy));
  // Called by one complete warp: starts copying this block's rows of a product's weights.
  auto bring = [&](u32 buffer, const void* weights, u32 rows) {
    const u32 inputs = buffer == 3 ? HIDDEN : WIDTH, stride = buffer == 3 ? LONG_ROW_BYTES : ROW_BYTES;
    const u32 target = buffer == 0 ? QKV_AT : buffer == 1 ? PROJ_AT : buffer == 2 ? FC1_AT : FC2_AT;
    if (lane == 0) gate_expect(FULL(buffer), rows * inputs * 2);
    __syncwarp();
    if (lane < rows)
      copy_row(shared_address(shared + target + lane * stride), (const u16*)weights + (u64)(block * rows + lane) * inputs,
               inputs * 2, FULL(buffer), policy);
  };
  const bool brings = warp == WARPS - 1;
  if (brings) {
    bring(0, BLOCK_POINTER(0, QKV_W), 24);
    bring(1, BLOCK_POINTER(0, PROJ_W), 8);
    bring(2, BLOCK_POINTER(0, FC1_W), 32);
    bring(3, BLOCK_POINTER(0, FC2_W), 8);
  }

  float* logits_out = (float*)pointers[AT_BOARD + 1];
  int* symbols_out = (int*)pointers[AT_BOARD + 2];
  u16* board = (u16*)pointers[AT_BOARD + 3];
  const float temperature = IS_GREEDY ? 1.0f : __ldg((const float*)pointers[AT_TEMPERATURE]);
  u32 parities = 0; // of the weights' gates, a bit each
  auto await_weights = [&](u32 buffer) { gate_wait(FULL(buffer), parities >> buffer & 1); parities ^= 1 << buffer; };
#ifdef PROFILE // cycles of each stage, by warp, instead of the first logits
  u32* spent = (u32*)(shared + GATES_AT + 64) + warp * STAGES;
  if (lane == 0) for (int i = 0; i < STAGES; i++) spent[i] = 0;
  u32 last = (u32)clock64();
  u64 begin;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(begin));
  #define MARK(stage) { __syncwarp(); const u32 now = (u32)clock64(); if (lane == 0) spent[stage] += now - last; last = now; }
#else
  #define MARK(stage)
#endif
  float residual[HALVES]; // threads below 64: row thread / 8 of each half, column 8 * block + thread % 8
  const u32 own_row = (thread & 63) >> 3, own_column = block * 8 + (thread & 7);
  const u32 row_elements = GROUPS * WIDTH; // of scales; a row's modulation has six times as many

  // Row r of what a group starts from, before its position is added.
  auto base_of = [&](u32 group, u32 row) -> const float* {
    return group == 0 ? (const float*)pointers[AT_START] + row * WIDTH
                      : (const float*)pointers[AT_TABLES + group - 1] + symbols[row] * WIDTH;
  };
  // The first block's input, which every thread block computes for itself: scale * x, and the rows' statistics.
  auto first_input = [&](uint4 (&a)[2][2], u32 group, const float* positions) {
    const u32 k = 64 * warp + 8 * t;
    float x[2][16] = {};
    #pragma unroll
    for (int half = 0; half < 2; half++) {
      const u32 row = half * 8 + g;
      #pragma unroll
      for (int i = 0; i < 2; i++) {
        float scale[8] = {}, y[8];
        if (half < HALVES && row < ROWS) {
          float base[8], place[8];
          load_floats(base_of(group, row) + k + 32 * i, base);
          load_floats(positions + k + 32 * i, place);
          unpack(fetch((const u16*)BLOCK_POINTER(0, SCALE1) + row * row_elements + group * WIDTH + k + 32 * i), scale);
          #pragma unroll
          for (int e = 0; e < 8; e++) x[half][8 * i + e] = base[e] + place[e];
        }
        #pragma unroll
        for (int e = 0; e < 8; e++) y[e] = scale[e] * x[half][8 * i + e];
        a[half][i] = make_uint4(pack(y[0], y[1]), pack(y[2], y[3]), pack(y[4], y[5]), pack(y[6], y[7]));
      }
    }
    Statistics statistic[2] = {};
    statistics(x, stats, statistic, warp, lane);
    if (warp == 0 && t == 0) { row_stats[g] = statistic[0]; row_stats[g + 8] = statistic[1]; }
  };

  // Attention of one row and head: a warp for each group so far, whose lane i holds dimensions 4i ... 4i + 3.
  auto attend = [&](u16* slot, u32 group, u32 layer) {
    const u32 row = block / HEADS, head = block % HEADS;
    const u32 at = row * 3 * WIDTH + head * HEAD_WIDTH + 4 * lane;
    u16* key_place = board + BOARD_KEYS + (((layer * ROWS + row) * HEADS + head) * GROUPS + warp) * HEAD_WIDTH + 4 * lane;
    uint2 key = make_uint2(0, 0), value = make_uint2(0, 0);
    if (warp < group) {
      key = load_pair(key_place);
      value = load_pair(board + (u64)SLOT_SIZE * (warp * DEPTH + layer) + at + 2 * WIDTH);
    }
    const uint4 raw_query_weight = fetch((const uint4*)BLOCK_POINTER(layer, QNORM_W) + lane);
    const uint4 raw_query_bias = fetch((const uint4*)BLOCK_POINTER(layer, QNORM_B) + lane);
    const uint4 raw_key_weight = fetch((const uint4*)BLOCK_POINTER(layer, KNORM_W) + lane);
    const uint4 raw_key_bias = fetch((const uint4*)BLOCK_POINTER(layer, KNORM_B) + lane);
    const u16* own = slot + SLOT_QKV + at;
    MARK(7)
    await_first(own, lane);
    uint2 q, k = make_uint2(0, 0), v = make_uint2(0, 0);
    for (u32 polls = 0;; polls++) {
      q = load_pair(own);
      if (warp == group) { k = load_pair(own + WIDTH); v = load_pair(own + 2 * WIDTH); }
      if (q.x != EMPTY && q.y != EMPTY && k.x != EMPTY && k.y != EMPTY && v.x != EMPTY && v.y != EMPTY) break;
      if (polls > MOST_POLLS) give_up();
    }
    __syncwarp();
    MARK(8)
    float query[4] = { low(q.x), high(q.x), low(q.y), high(q.y) };
    float own_key[4] = { low(k.x), high(k.x), low(k.y), high(k.y) };
    float4 sum = make_float4(0, 0, 0, 0); // of the query, its squares, the key, its squares
    #pragma unroll
    for (int e = 0; e < 4; e++) {
      sum.x += query[e]; sum.y += query[e] * query[e];
      sum.z += own_key[e]; sum.w += own_key[e] * own_key[e];
    }
    #pragma unroll
    for (int off = 16; off > 0; off >>= 1) {
      sum.x += __shfl_xor_sync(~0u, sum.x, off); sum.y += __shfl_xor_sync(~0u, sum.y, off);
      sum.z += __shfl_xor_sync(~0u, sum.z, off); sum.w += __shfl_xor_sync(~0u, sum.w, off);
    }
    const float query_mean = sum.x * (1.0f / HEAD_WIDTH), key_mean = sum.z * (1.0f / HEAD_WIDTH);
    const float query_scale = rsqrtf(fmaxf(sum.y * (1.0f / HEAD_WIDTH) - query_mean * query_mean, 0.0f) + EPSILON);
    const float key_scale = rsqrtf(fmaxf(sum.w * (1.0f / HEAD_WIDTH) - key_mean * key_mean, 0.0f) + EPSILON);
    const float per_root = 0.08838834764831845f; // 1 / sqrt(128)
    float query_weight[4], query_bias[4], key_weight[4], key_bias[4];
    floats(raw_query_weight, query_weight); floats(raw_query_bias, query_bias);
    floats(raw_key_weight, key_weight); floats(raw_key_bias, key_bias);
    #pragma unroll
    for (int e = 0; e < 4; e++) {
      query[e] = round_bf16(((query[e] - query_mean) * query_scale * query_weight[e] + query_bias[e]) * per_root);
      own_key[e] = (own_key[e] - key_mean) * key_scale * key_weight[e] + key_bias[e];
    }
    if (warp == group) {
      key = make_uint2(pack(own_key[0], own_key[1]), pack(own_key[2], own_key[3]));
      value = v;
      store_pair(key_place, key.x, key.y);
    }
    float score = (query[0] * low(key.x) + query[1] * high(key.x)) + (query[2] * low(key.y) + query[3] * high(key.y));
    #pragma unroll
    for (int off = 16; off > 0; off >>= 1) score += __shfl_xor_sync(~0u, score, off);
    if (warp > group) score = -1e30f;
    if (lane == 0) scores[warp] = score;
    sync_workers();
    const float other = scores[lane & 15];
    float largest = other;
    #pragma unroll
    for (int off = 8; off > 0; off >>= 1) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, off));
    float total = expf(other - largest);
    #pragma unroll
    for (int off = 8; off > 0; off >>= 1) total += __shfl_xor_sync(~0u, total, off);
    const float share = expf(score - largest) / total;
    *(float4*)(wide_sums + warp * HEAD_WIDTH + 4 * lane) =
      make_float4(share * low(value.x), share * high(value.x), share * low(value.y), share * high(value.y));
    sync_workers();
    if (thread < HEAD_WIDTH) {
      float mixed[4] = {};
      #pragma unroll
      for (int j = 0; j < WARPS; j++) mixed[j & 3] += wide_sums[j * HEAD_WIDTH + thread];
      const float result = (mixed[0] + mixed[1]) + (mixed[2] + mixed[3]), next = __shfl_down_sync(~0u, result, 1);
      if ((thread & 1) == 0) store_word(slot + SLOT_ATTENDED + row * WIDTH + head * HEAD_WIDTH + thread, pack(result, next));
    }
  };

  #pragma unroll 1
  for (u32 group = 0; group < GROUPS; group++) {
    const float* positions = (const float*)pointers[AT_POSITIONS] + group * WIDTH;
    if (thread < 64) {
      #pragma unroll
      for (int half = 0; half < HALVES; half++) {
        const u32 row = half * 8 + own_row;
        residual[half] = row < ROWS ? __ldg(base_of(group, row) + own_column) + __ldg(positions + own_column) : 0.0f;
      }
    }

    #pragma unroll 1
    for (u32 layer = 0; layer < DEPTH; layer++) {
      u16* slot = board + (u64)SLOT_SIZE * (group * DEPTH + layer);
      const u32 next_layer = layer + 1 < DEPTH ? layer + 1 : 0;
      const bool has_next = layer + 1 < DEPTH || group + 1 < GROUPS;

      // Part 0: attention. Part 1: MLP. Both have a product of normalized rows, and one that ends in the residual stream. They
      // share one piece of code: instructions that do not fit the caches near the warps cost more than what they compute.
      #pragma unroll 1
      for (u32 part = 0; part < 2; part++) {
        const u32 tiles = part == 0 ? 3 : 4, outputs = part == 0 ? 3 * WIDTH : HIDDEN;
        const u32 output = (block * tiles + (thread >> 6)) * 8 + (thread & 7);
        const bool sums_up = thread < tiles * 64;
        // What the sums need, ahead of the wait.
        u32 of_scale[HALVES], of_offset[HALVES], bias = 0;
        if (sums_up) {
          const float* shifts = (const float*)BLOCK_POINTER(layer, SHIFTS1 + 2 * part) + group * 2 * outputs + output;
          bias = fetch_half((const u16*)BLOCK_POINTER(layer, part == 0 ? QKV_B : FC1_B) + output);
          #pragma unroll
          for (int half = 0; half < HALVES; half++) {
            const u32 row = min(half * 8 + own_row, ROWS - 1);
            of_scale[half] = fetch_word(shifts + row * GROUPS * 2 * outputs);
            of_offset[half] = fetch_word(shifts + row * GROUPS * 2 * outputs + outputs);
          }
        }
        MARK(0)
        uint4 a[2][2];
        if (part == 0 && layer == 0) first_input(a, group, positions);
        else {
          const u16* source = part == 0 ? slot - SLOT_SIZE + SLOT_OUTPUT : slot + SLOT_MIDDLE;
          const u16* own = (part == 0 ? slot - SLOT_SIZE + SLOT_OUTPUT_SUMS : slot + SLOT_MIDDLE_SUMS) + (warp * BLOCKS + 4 * lane) * 4;
          await_first(source + 64 * warp, lane);
          MARK(1)
          // A warp for each row: the sums of four thread blocks a lane.
          uint4 parts[2] = {};
          if (warp < ROWS) load_pieces(parts, own);
          receive<2>(a, 2, source + 64 * warp + 8 * t, WIDTH, g);
          MARK(2)
          if (warp < ROWS) {
            complete<2>(parts, 2, own, 8);
            __syncwarp();
            float sum = (__uint_as_float(parts[0].x) + __uint_as_float(parts[0].z)) + (__uint_as_float(parts[1].x) + __uint_as_float(parts[1].z));
            float squares = (__uint_as_float(parts[0].y) + __uint_as_float(parts[0].w)) + (__uint_as_float(parts[1].y) + __uint_as_float(parts[1].w));
            #pragma unroll
            for (int off = 16; off > 0; off >>= 1) {
              sum += __shfl_xor_sync(~0u, sum, off);
              squares += __shfl_xor_sync(~0u, squares, off);
            }
            if (lane == 0) row_stats[warp] = statistics_of(sum, squares);
          }
        }
        MARK(3)
        await_weights(2 * part);
        MARK(4)
        float sums[4][4];
        product<4, 2>(sums, tiles, 2, a, shared + (part == 0 ? QKV_AT : FC1_AT), ROW_BYTES, 64 * warp, lane);
        MARK(5)
        #pragma unroll
        for (int half = 0; half < HALVES; half++) {
          if (half > 0) sync_workers(); // everybody has read the sums before
          const float total = add_parts<4>(sums, wide_sums, half, warp, lane);
          if (brings && half == HALVES - 1 && has_next) bring(2 * part, BLOCK_POINTER(next_layer, part == 0 ? QKV_W : FC1_W), tiles * 8);
          if (sums_up) {
            const u32 row = half * 8 + own_row;
            const Statistics statistic = row_stats[row];
            float value = (total - statistic.mean * __uint_as_float(of_scale[half])) * statistic.scale + (__uint_as_float(of_offset[half]) + low(bias));
            if (part == 1) value = gelu(value);
            const float next = __shfl_down_sync(~0u, value, 1);
            if (row < ROWS && (thread & 1) == 0) store_word(slot + (part == 0 ? SLOT_QKV : SLOT_HIDDEN) + row * outputs + output, pack(value, next));
          }
        }
        MARK(6)
        if (part == 0 && block < ROWS * HEADS) attend(slot, group, layer);
        MARK(9)

        // The product that ends in the residual stream.
        const u32 pieces = part == 0 ? 2 : 8, row_size = part == 0 ? WIDTH : HIDDEN;
        const bool is_last = part == 1 && layer == DEPTH - 1; // the final norms take x itself
        u32 own_bias = 0, gate[HALVES], scale[HALVES];
        if (thread < 64) {
          own_bias = fetch_half((const u16*)BLOCK_POINTER(layer, part == 0 ? PROJ_B : FC2_B) + own_column);
          const u16* gates = (const u16*)BLOCK_POINTER(layer, MODULATION) + (group * 6 + 2 + 3 * part) * WIDTH + own_column;
          const u16* scales = (const u16*)(part == 0 ? BLOCK_POINTER(layer, SCALE2) : BLOCK_POINTER(next_layer, SCALE1)) + group * WIDTH + own_column;
          #pragma unroll
          for (int half = 0; half < HALVES; half++) {
            const u32 row = min(half * 8 + own_row, ROWS - 1);
            gate[half] = fetch_half(gates + row * 6 * row_elements);
            scale[half] = is_last ? 0x3f80 : fetch_half(scales + row * row_elements);
          }
        }
        const u32 first_k = 32 * pieces * warp;
        const u16* source = slot + (part == 0 ? SLOT_ATTENDED : SLOT_HIDDEN) + first_k;
        await_first(source, lane);
        MARK(10)
        uint4 b[2][8];
        receive<8>(b, pieces, source + 8 * t, row_size, g);
        MARK(11)
        await_weights(1 + 2 * part);
        MARK(12)
        float parts[1][4];
        product<1, 8>(parts, 1, pieces, b, shared + (part == 0 ? PROJ_AT : FC2_AT), row_size * 2 + 64, first_k, lane);
        MARK(13)
        #pragma unroll
        for (int half = 0; half < HALVES; half++) {
          if (half > 0) sync_workers();
          const float total = add_parts<1>(parts, narrow_sums, half, warp, lane) + low(own_bias);
          if (brings && half == HALVES - 1) {
            if (part == 0 && layer == DEPTH - 1 && classifies) bring(1, pointers[AT_CLASSIFIERS + 2 * group], 8);
            else if (has_next) bring(1 + 2 * part, BLOCK_POINTER(next_layer, part == 0 ? PROJ_W : FC2_W), 8);
          }
          if (thread < 64) {
            const float value = residual[half] += low(gate[half]) * total;
            publish(slot + (part == 0 ? SLOT_MIDDLE : SLOT_OUTPUT), slot + (part == 0 ? SLOT_MIDDLE_SUMS : SLOT_OUTPUT_SUMS),
                    half * 8 + own_row, own_column, value, low(scale[half]));
          }
        }
        MARK(14)
      }
    }

    // Final norms, modulation and classifier, by the blocks that have symbols.
    u32* logit_words = (u32*)(board + BOARD_LOGITS) + group * ROWS * SYMBOLS;
    if (classifies) {
      const u16* source = board + (u64)SLOT_SIZE * (group * DEPTH + DEPTH - 1) + SLOT_OUTPUT;
      const float* norm_weight = (const float*)pointers[AT_FINAL_NORM];
      const float* norm_bias = (const float*)pointers[AT_FINAL_NORM + 1];
      const u16* final_scale = (const u16*)pointers[AT_FINAL] + group * 2 * WIDTH;
      const u32 symbol = block * 8 + (thread & 7);
      const u32 bias = thread < 64 ? fetch_half((const u16*)pointers[AT_CLASSIFIERS + 2 * group + 1] + symbol) : 0;
      const u32 k = 64 * warp + 8 * t;
      uint4 shift[2][2], scale[2][2], raw_weight[2][2], raw_offset[2][2];
      #pragma unroll
      for (int i = 0; i < 2; i++) {
        #pragma unroll
        for (int e = 0; e < 2; e++) {
          raw_weight[i][e] = fetch(norm_weight + k + 32 * i + 4 * e);
          raw_offset[i][e] = fetch(norm_bias + k + 32 * i + 4 * e);
        }
        #pragma unroll
        for (int half = 0; half < HALVES; half++) {
          const u16* own = final_scale + min(half * 8 + g, ROWS - 1) * 2 * row_elements + k + 32 * i;
          scale[half][i] = fetch(own);
          shift[half][i] = fetch(own + WIDTH);
        }
      }
      await_first(source + 64 * warp, lane);
      uint4 a[2][2];
      receive<2>(a, 2, source + k, WIDTH, g);
      float x[2][16];
      #pragma unroll
      for (int half = 0; half < 2; half++) { unpack(a[half][0], x[half]); unpack(a[half][1], x[half] + 8); }
      Statistics statistic[2] = {};
      statistics(x, stats, statistic, warp, lane);
      #pragma unroll
      for (int i = 0; i < 2; i++) {
        float weight[8], offset[8];
        floats(raw_weight[i][0], weight);
        floats(raw_weight[i][1], weight + 4);
        floats(raw_offset[i][0], offset);
        floats(raw_offset[i][1], offset + 4);
        #pragma unroll
        for (int half = 0; half < HALVES; half++) {
          #pragma unroll
          for (int e = 0; e < 8; e++)
            x[half][8 * i + e] = (x[half][8 * i + e] - statistic[half].mean) * statistic[half].scale * weight[e] + offset[e];
        }
      }
      statistics(x, more_stats, statistic, warp, lane);
      #pragma unroll
      for (int half = 0; half < HALVES; half++) {
        #pragma unroll
        for (int i = 0; i < 2; i++) {
          float shifted[8], scaled[8], y[8];
          unpack(shift[half][i], shifted);
          unpack(scale[half][i], scaled);
          #pragma unroll
          for (int e = 0; e < 8; e++)
            y[e] = (x[half][8 * i + e] - statistic[half].mean) * statistic[half].scale * (1.0f + scaled[e]) + shifted[e];
          a[half][i] = make_uint4(pack(y[0], y[1]), pack(y[2], y[3]), pack(y[4], y[5]), pack(y[6], y[7]));
        }
      }
      await_weights(1);
      float parts[1][4];
      product<1, 2>(parts, 1, 2, a, shared + PROJ_AT, ROW_BYTES, 64 * warp, lane);
      #pragma unroll
      for (int half = 0; half < HALVES; half++) {
        if (half > 0) sync_workers();
        const float total = add_parts<1>(parts, narrow_sums, half, warp, lane) + low(bias);
        if (brings && half == HALVES - 1 && group + 1 < GROUPS) bring(1, BLOCK_POINTER(0, PROJ_W), 8);
        const u32 row = half * 8 + own_row;
        if (thread < 64 && row < ROWS) {
          logits_out[(row * GROUPS + group) * SYMBOLS + symbol] = total;
          store_word(logit_words + row * SYMBOLS + symbol, number_word(total));
        }
      }
    }
    MARK(18)

    // The draw, by every block for itself: a warp takes a row.
    for (u32 row = warp; row < ROWS; row += WARPS) {
      const float* noise = (const float*)pointers[AT_NOISE] + ((u64)group * ROWS + row) * SYMBOLS;
      float best = -__int_as_float(0x7f800000);
      int chosen = 0;
      for (u32 symbol = lane; symbol < SYMBOLS; symbol += 32) {
        const u32 own_noise = IS_GREEDY ? 0 : fetch_word(noise + symbol);
        u32 word;
        for (u32 polls = 0; (word = load_word(logit_words + row * SYMBOLS + symbol)) == EMPTY; polls++) if (polls > MOST_POLLS) give_up();
        const float score = IS_GREEDY ? __uint_as_float(word) : __uint_as_float(word) / temperature + __uint_as_float(own_noise);
        if (score > best) { best = score; chosen = symbol; }
      }
      __syncwarp();
      #pragma unroll
      for (int off = 16; off > 0; off >>= 1) {
        const float other = __shfl_xor_sync(~0u, best, off);
        const int other_chosen = __shfl_xor_sync(~0u, chosen, off);
        if (other > best || (other == best && other_chosen < chosen)) { best = other; chosen = other_chosen; }
      }
      if (lane == 0) {
        symbols[row] = chosen;
        if (block == 0) symbols_out[row * GROUPS + group] = chosen;
      }
    }
    sync_workers();
    MARK(19)
  }
#ifdef PROFILE
  u64 end;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(end));
  if (lane == 0) spent[20] = (u32)(end - begin);
  __syncwarp();
  if (lane < STAGES && block % 16 == 0) logits_out[((block / 16) * WARPS + warp) * STAGES + lane] = spent[lane];
#endif
}
`;
