/** CUDA C++ of `SampleSymbols`; `sample-symbols.ts` next to this file calls it. */
export const sampleSymbolsSource = `
// Draws the symbols of all groups of channels for up to 16 rows (positions) in one launch.
//
// What it computes. For each group c in turn: the input (start of the sequence, or the embedding of the symbol drawn
// before, plus the position), DEPTH blocks (norm, modulation, attention over groups 0 ... c, MLP), the final norms, the
// logits, and the draw: the largest logit / temperature + noise. Products take bfloat16 operands and sum in float32;
// everything else is float32; what one multiprocessor hands to others is rounded to bfloat16.
//
// Sizes: width 1024, 8 heads of 128, hidden width 4096, at most 16 groups, 8 to 1024 symbols in multiples of 8.
//
// How the work is divided. 128 thread blocks, one on each multiprocessor, stay for the complete launch. Block b computes
// outputs 24b ... 24b+23 of the query/key/value product, 8b ... 8b+7 of both products that end in the residual stream,
// 32b ... 32b+31 of the MLP's first product, and symbols 8b ... 8b+7 of the classifier. It keeps its 8 columns of the
// residual stream in registers. Attention of row r and head h belongs to block (8r + h) mod 128.
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
// What limits it. 100 MB of weights a group (L's head) take 23 us at 4.3 TB/s; 21 exchanges a group take about 1 us each
// with the arithmetic between them.

#define WIDTH 1024
#define HEADS 8
#define HEAD_WIDTH 128
#define HIDDEN 4096
#define BLOCKS 128
#define WARPS 16
#define HALVES ((ROWS + 7) / 8)
#define TILES ((ROWS + 15) / 16)
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
#define GATES_AT (SYMBOLS_AT + 4 * 64)
#define STAGES 20

// Places of the operands: see sample-symbols.ts, which lists them in this order.
#define AT_START 0
#define AT_FINAL 1
#define AT_MODULATION 2
#define AT_NOISE (AT_MODULATION + DEPTH)
#define AT_TEMPERATURE (AT_NOISE + 1)
#define AT_POSITIONS (AT_TEMPERATURE + 1)
#define AT_FINAL_NORM (AT_POSITIONS + 1)
#define AT_TABLES (AT_FINAL_NORM + 2)
#define AT_CLASSIFIERS (AT_TABLES + GROUPS - 1)
#define AT_BLOCKS (AT_CLASSIFIERS + 2 * GROUPS)
#define BLOCK_POINTERS 16
#define AT_BOARD (AT_BLOCKS + BLOCK_POINTERS * DEPTH)
// Places among a block's pointers.
enum { NORM1_W, NORM1_B, QKV_W, QKV_B, QNORM_W, QNORM_B, KNORM_W, KNORM_B, PROJ_W, PROJ_B, NORM2_W, NORM2_B,
       FC1_W, FC1_B, FC2_W, FC2_B };

// The board: for each group and block a slot of bfloat16 activations, then logits, then normalized keys.
#define SLOT_QKV 0
#define SLOT_ATTENDED (ROWS * 3 * WIDTH)
#define SLOT_MIDDLE (SLOT_ATTENDED + ROWS * WIDTH)
#define SLOT_HIDDEN (SLOT_MIDDLE + ROWS * WIDTH)
#define SLOT_OUTPUT (SLOT_HIDDEN + ROWS * HIDDEN)
#define SLOT_SIZE (SLOT_OUTPUT + ROWS * WIDTH)
#define BOARD_LOGITS ((u64)SLOT_SIZE * GROUPS * DEPTH)           // in bfloat16 elements
#define BOARD_KEYS (BOARD_LOGITS + 2ull * GROUPS * ROWS * SYMBOLS)

extern "C" __device__ void __assertfail(const char*, const char*, u32, const char*, size_t);

__device__ __noinline__ void give_up() {
  __assertfail("SampleSymbols: a block waited for seconds for another one that does not run; its 128 blocks must be resident "
               "at once. Set TB_PLAIN=SampleSymbols to run the plain program", "sample-symbols.cu", 0, "wait", 1);
  asm volatile("trap;");
}

// ---- device memory

__device__ __forceinline__ uint4 load_shared_board(const u16* p) {
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
__device__ __forceinline__ void store_word(void* p, u32 v) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" :: "l"(p), "r"(v));
}
__device__ __forceinline__ void store_pair(void* p, u32 a, u32 b) {
  asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1,%2};" :: "l"(p), "r"(a), "r"(b));
}
__device__ __forceinline__ bool is_missing(uint4 v) {
  return v.x == EMPTY || v.y == EMPTY || v.z == EMPTY || v.w == EMPTY;
}

// One lane waits for its first word, so that waiting warps leave the memory system to the weights.
__device__ __forceinline__ void await_first(const void* p, u32 lane) {
  if (lane == 0) {
    u32 polls = 0;
    while (load_word(p) == EMPTY) if (++polls > MOST_POLLS) give_up();
  }
  __syncwarp();
}

// N pieces of 8 elements, 32 elements apart, of a row; zeros where the row is padding.
template<int N> __device__ __forceinline__ void receive(uint4 (&v)[N], const u16* p, bool is_row) {
  #pragma unroll
  for (int i = 0; i < N; i++) v[i] = is_row ? load_shared_board(p + 32 * i) : make_uint4(0, 0, 0, 0);
  for (u32 polls = 0;; polls++) {
    bool is_complete = true;
    #pragma unroll
    for (int i = 0; i < N; i++) if (is_missing(v[i])) { is_complete = false; v[i] = load_shared_board(p + 32 * i); }
    if (is_complete) break;
    if (polls > MOST_POLLS) give_up();
  }
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
__device__ __forceinline__ float round_bf16(float x) { return low(pack(x, 0.0f)); }
__device__ __forceinline__ float from_bf16(const u16* p) { return __uint_as_float((u32)__ldg(p) << 16); }
__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }

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

// Columns 64 * warp + 32 * i + 8 * t ... + 7 (i = 0, 1) of a row's norm, as 16 floats.
struct Statistics { float mean, scale; };

// Mean and 1 / deviation of up to 16 rows, of which this thread holds 16 of the 1024 columns of rows g and g + 8.
__device__ __forceinline__ void statistics(const float (&x)[2][16], float2* stats, Statistics (&result)[2], u32 warp, u32 lane, bool has_upper) {
  const u32 g = lane >> 2, t = lane & 3;
  #pragma unroll
  for (int half = 0; half < 2; half++) {
    if (half == 1 && !has_upper) break;
    float sum = 0;
    #pragma unroll
    for (int i = 0; i < 16; i++) sum += x[half][i];
    sum += __shfl_xor_sync(~0u, sum, 1); sum += __shfl_xor_sync(~0u, sum, 2);
    const float mean = sum * (1.0f / 64);
    float squares = 0;
    #pragma unroll
    for (int i = 0; i < 16; i++) { const float d = x[half][i] - mean; squares += d * d; }
    squares += __shfl_xor_sync(~0u, squares, 1); squares += __shfl_xor_sync(~0u, squares, 2);
    if (t == 0) stats[warp * 16 + half * 8 + g] = make_float2(mean, squares);
  }
  sync_workers();
  #pragma unroll
  for (int half = 0; half < 2; half++) {
    if (half == 1 && !has_upper) break;
    float2 part[4];
    float mean = 0;
    #pragma unroll
    for (int i = 0; i < 4; i++) { part[i] = stats[(t + 4 * i) * 16 + half * 8 + g]; mean += part[i].x; }
    mean += __shfl_xor_sync(~0u, mean, 1); mean += __shfl_xor_sync(~0u, mean, 2);
    mean *= 1.0f / WARPS;
    float squares = 0;
    #pragma unroll
    for (int i = 0; i < 4; i++) { const float d = part[i].x - mean; squares += part[i].y + 64.0f * d * d; }
    squares += __shfl_xor_sync(~0u, squares, 1); squares += __shfl_xor_sync(~0u, squares, 2);
    result[half] = { mean, rsqrtf(squares * (1.0f / WIDTH) + EPSILON) };
  }
}

__device__ __forceinline__ void load_floats(const float* p, float* x) {
  const float4 a = __ldg((const float4*)p), b = __ldg((const float4*)p + 1);
  x[0] = a.x; x[1] = a.y; x[2] = a.z; x[3] = a.w; x[4] = b.x; x[5] = b.y; x[6] = b.z; x[7] = b.w;
}

// This warp's part of NT tiles of 8 outputs, over BLOCKS_OF_K blocks of 32 inputs from first_k on.
template<int NT, int BLOCKS_OF_K> __device__ __forceinline__ void product(
    float (&sums)[NT][4], const uint4 (&a)[2][BLOCKS_OF_K], const unsigned char* weights, u32 row_bytes, u32 first_k, u32 lane) {
  const u32 g = lane >> 2, t = lane & 3;
  #pragma unroll
  for (int n = 0; n < NT; n++) { sums[n][0] = sums[n][1] = sums[n][2] = sums[n][3] = 0; }
  #pragma unroll
  for (int k = 0; k < BLOCKS_OF_K; k++) {
    #pragma unroll
    for (int n = 0; n < NT; n++) {
      const uint4 b = *(const uint4*)(weights + (n * 8 + g) * row_bytes + (first_k + 32 * k + 8 * t) * 2);
      multiply(sums[n], a[0][k].x, a[1][k].x, a[0][k].y, a[1][k].y, b.x, b.y);
      multiply(sums[n], a[0][k].z, a[1][k].z, a[0][k].w, a[1][k].w, b.z, b.w);
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
  float total = 0;
  if (thread < NT * 64) {
    #pragma unroll
    for (int w = 0; w < WARPS; w++) total += shared[w * NT * 64 + thread];
  }
  return total;
}

extern "C" __global__ void __launch_bounds__(512, 1) sample_symbols(POINTER_PARAMETERS) {
  extern __shared__ __align__(128) unsigned char shared[];
  const void** pointers = (const void**)(shared + POINTERS_AT);
  float* wide_sums = (float*)(shared + WIDE_SUMS_AT);
  float* narrow_sums = (float*)(shared + SUMS_AT);
  float2* stats = (float2*)(shared + STATS_AT);
  float2* more_stats = stats + WARPS * 16;
  int* symbols = (int*)(shared + SYMBOLS_AT);
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

  u64 policy; // weights are read once a group: they shall not displace what is read more often
  asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
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
  if (warp == WARPS - 1) {
    bring(0, BLOCK_POINTER(0, QKV_W), 24);
    bring(1, BLOCK_POINTER(0, PROJ_W), 8);
    bring(2, BLOCK_POINTER(0, FC1_W), 32);
    bring(3, BLOCK_POINTER(0, FC2_W), 8);
  }

  float* logits_out = (float*)pointers[AT_BOARD + 1];
  int* symbols_out = (int*)pointers[AT_BOARD + 2];
  u16* board = (u16*)pointers[AT_BOARD + 3];
  const float temperature = IS_GREEDY ? 1.0f : __ldg((const float*)pointers[AT_TEMPERATURE]);
  u32 uses[4] = { 0, 0, 0, 0 };
#ifdef PROFILE // cycles of each stage, by warp, instead of the first logits
  u32* spent = (u32*)(shared + GATES_AT + 64) + warp * STAGES;
  if (lane == 0) for (int i = 0; i < STAGES; i++) spent[i] = 0;
  u32 last = (u32)clock64();
  #define MARK(stage) { __syncwarp(); const u32 now = (u32)clock64(); if (lane == 0) spent[stage] += now - last; last = now; }
#else
  #define MARK(stage)
#endif
  float residual[HALVES]; // threads below 64: row thread / 8 of each half, column 8 * block + thread % 8
  const u32 own_row = (thread & 63) >> 3, own_column = block * 8 + (thread & 7);

  for (u32 group = 0; group < GROUPS; group++) {
    const float* positions = (const float*)pointers[AT_POSITIONS] + (u64)group * WIDTH;
    // Row r of what the group starts from, before its position is added.
    auto base_of = [&](u32 row) -> const float* {
      return group == 0 ? (const float*)pointers[AT_START] + (u64)row * WIDTH
                        : (const float*)pointers[AT_TABLES + group - 1] + (u64)symbols[row] * WIDTH;
    };
    if (thread < 64) {
      #pragma unroll
      for (int half = 0; half < HALVES; half++) {
        const u32 row = half * 8 + own_row;
        residual[half] = row < ROWS ? __ldg(base_of(row) + own_column) + __ldg(positions + own_column) : 0.0f;
      }
    }

    for (u32 layer = 0; layer < DEPTH; layer++) {
      u16* slot = board + (u64)SLOT_SIZE * (group * DEPTH + layer);
      const u16* modulations = (const u16*)pointers[AT_MODULATION + layer];
      const u32 next_layer = layer + 1 < DEPTH ? layer + 1 : 0;
      const bool has_next = layer + 1 < DEPTH || group + 1 < GROUPS;
      const u64 modulation_row = (u64)GROUPS * 6 * WIDTH;
      const u16* modulation = modulations + (u64)group * 6 * WIDTH; // of row 0

      // 0: norm, modulation, queries, keys and values; 1: norm, modulation, MLP's first product
      #pragma unroll
      for (int part = 0; part < 2; part++) {
        const int NT = part == 0 ? 3 : 4;
        const float* norm_weight = (const float*)BLOCK_POINTER(layer, part == 0 ? NORM1_W : NORM2_W);
        const float* norm_bias = (const float*)BLOCK_POINTER(layer, part == 0 ? NORM1_B : NORM2_B);
        const u16* shifts = modulation + part * 3 * WIDTH;
        const u16* source = part == 0 ? slot - SLOT_SIZE + SLOT_OUTPUT : slot + SLOT_MIDDLE;
        const bool is_first = part == 0 && layer == 0;
        const u32 buffer = part == 0 ? 0 : 2;
        const u16* bias_row = (const u16*)BLOCK_POINTER(layer, part == 0 ? QKV_B : FC1_B);
        const u32 output = block * (NT * 8) + (thread >> 6) * 8 + (thread & 7);
        const float bias = thread < (u32)NT * 64 ? from_bf16(bias_row + output) : 0.0f;
        const u32 k = 64 * warp + 8 * t;
        #pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
          const bool has_upper = tile * 2 + 1 < HALVES;
          float weight[2][8], offset[2][8];
          uint4 shift[2][2], scale[2][2];
          #pragma unroll
          for (int i = 0; i < 2; i++) {
            load_floats(norm_weight + k + 32 * i, weight[i]);
            load_floats(norm_bias + k + 32 * i, offset[i]);
            #pragma unroll
            for (int half = 0; half < 2; half++) {
              if (half == 1 && !has_upper) break;
              const u32 row = tile * 16 + half * 8 + g;
              const u16* own = shifts + row * modulation_row + k + 32 * i;
              shift[half][i] = row < ROWS ? __ldg((const uint4*)own) : make_uint4(0, 0, 0, 0);
              scale[half][i] = row < ROWS ? __ldg((const uint4*)(own + WIDTH)) : make_uint4(0, 0, 0, 0);
            }
          }
          float x[2][16];
          if (is_first) {
            #pragma unroll
            for (int half = 0; half < 2; half++) {
              if (half == 1 && !has_upper) break;
              const u32 row = tile * 16 + half * 8 + g;
              #pragma unroll
              for (int i = 0; i < 2; i++) {
                float base[8] = {}, place[8] = {};
                if (row < ROWS) { load_floats(base_of(row) + k + 32 * i, base); load_floats(positions + k + 32 * i, place); }
                #pragma unroll
                for (int e = 0; e < 8; e++) x[half][8 * i + e] = base[e] + place[e];
              }
            }
          } else {
            MARK(0)
            if (tile == 0) await_first(source + 64 * warp, lane);
            MARK(1)
            #pragma unroll
            for (int half = 0; half < 2; half++) {
              if (half == 1 && !has_upper) break;
              const u32 row = tile * 16 + half * 8 + g;
              uint4 pieces[2];
              receive(pieces, source + (u64)row * WIDTH + k, row < ROWS);
              unpack(pieces[0], x[half]);
              unpack(pieces[1], x[half] + 8);
            }
          }
          MARK(2)
          Statistics statistic[2] = {};
          statistics(x, tile & 1 ? more_stats : stats, statistic, warp, lane, has_upper);
          MARK(3)
          uint4 a[2][2];
          #pragma unroll
          for (int half = 0; half < 2; half++) {
            #pragma unroll
            for (int i = 0; i < 2; i++) {
              if (half == 1 && !has_upper) { a[half][i] = make_uint4(0, 0, 0, 0); continue; }
              float shifted[8], scaled[8], y[8];
              unpack(shift[half][i], shifted);
              unpack(scale[half][i], scaled);
              #pragma unroll
              for (int e = 0; e < 8; e++) {
                const float normal = (x[half][8 * i + e] - statistic[half].mean) * statistic[half].scale;
                y[e] = (normal * weight[i][e] + offset[i][e]) * (1.0f + scaled[e]) + shifted[e];
              }
              a[half][i] = make_uint4(pack(y[0], y[1]), pack(y[2], y[3]), pack(y[4], y[5]), pack(y[6], y[7]));
            }
          }
          MARK(4)
          if (tile == 0) gate_wait(FULL(buffer), uses[buffer] & 1);
          MARK(5)
          float sums[4][4];
          if (part == 0) product<3, 2>(*(float (*)[3][4])sums, a, shared + QKV_AT, ROW_BYTES, 64 * warp, lane);
          else product<4, 2>(sums, a, shared + FC1_AT, ROW_BYTES, 64 * warp, lane);
          MARK(6)
          #pragma unroll
          for (int half = 0; half < 2; half++) {
            if (half == 1 && !has_upper) break;
            if (tile + half > 0) sync_workers(); // everybody has read the sums before
            const float total = (part == 0 ? add_parts<3>(*(float (*)[3][4])sums, wide_sums, half, warp, lane)
                                           : add_parts<4>(sums, wide_sums, half, warp, lane)) + bias;
            if (warp == WARPS - 1 && tile * 2 + half == HALVES - 1 && has_next)
              bring(buffer, BLOCK_POINTER(next_layer, part == 0 ? QKV_W : FC1_W), NT * 8);
            if (thread < (u32)NT * 64) {
              const u32 row = tile * 16 + half * 8 + own_row;
              const float value = part == 0 ? total : gelu(round_bf16(total));
              const float next = __shfl_down_sync(~0u, value, 1);
              u16* target = part == 0 ? slot + SLOT_QKV + (u64)row * 3 * WIDTH : slot + SLOT_HIDDEN + (u64)row * HIDDEN;
              if (row < ROWS && (thread & 1) == 0) store_word(target + output, pack(value, next));
            }
          }
        }
        MARK(7)
        uses[buffer]++;
        if (part == 1) break;

        // Attention of one row and head by one warp: lane i holds dimensions 4i ... 4i + 3.
        const u32 unit = block + BLOCKS * warp;
        if (unit < ROWS * HEADS) {
          const u32 row = unit / HEADS, head = unit % HEADS;
          const u64 at = (u64)row * 3 * WIDTH + head * HEAD_WIDTH + 4 * lane;
          u16* keys = board + BOARD_KEYS + (((u64)layer * ROWS + row) * HEADS + head) * GROUPS * HEAD_WIDTH + 4 * lane;
          uint2 key[GROUPS], value[GROUPS];
          #pragma unroll
          for (u32 j = 0; j < GROUPS; j++) {
            key[j] = value[j] = make_uint2(0, 0);
            if (j < group) {
              key[j] = load_pair(keys + j * HEAD_WIDTH);
              value[j] = load_pair(board + (u64)SLOT_SIZE * (j * DEPTH + layer) + at + 2 * WIDTH);
            }
          }
          const float4 query_weight = __ldg((const float4*)BLOCK_POINTER(layer, QNORM_W) + lane);
          const float4 query_bias = __ldg((const float4*)BLOCK_POINTER(layer, QNORM_B) + lane);
          const float4 key_weight = __ldg((const float4*)BLOCK_POINTER(layer, KNORM_W) + lane);
          const float4 key_bias = __ldg((const float4*)BLOCK_POINTER(layer, KNORM_B) + lane);
          const u16* own = slot + SLOT_QKV + at;
          MARK(8)
          await_first(own + 2 * WIDTH, lane);
          uint2 q, k, v;
          for (u32 polls = 0;; polls++) {
            q = load_pair(own); k = load_pair(own + WIDTH); v = load_pair(own + 2 * WIDTH);
            if (q.x != EMPTY && q.y != EMPTY && k.x != EMPTY && k.y != EMPTY && v.x != EMPTY && v.y != EMPTY) break;
            if (polls > MOST_POLLS) give_up();
          }
          __syncwarp();
          MARK(9)
          float query[4] = { low(q.x), high(q.x), low(q.y), high(q.y) };
          float own_key[4] = { low(k.x), high(k.x), low(k.y), high(k.y) };
          float query_sum = query[0] + query[1] + query[2] + query[3];
          float key_sum = own_key[0] + own_key[1] + own_key[2] + own_key[3];
          #pragma unroll
          for (int off = 16; off > 0; off >>= 1) {
            query_sum += __shfl_xor_sync(~0u, query_sum, off);
            key_sum += __shfl_xor_sync(~0u, key_sum, off);
          }
          float query_squares = 0, key_squares = 0;
          #pragma unroll
          for (int e = 0; e < 4; e++) {
            query[e] -= query_sum * (1.0f / HEAD_WIDTH); query_squares += query[e] * query[e];
            own_key[e] -= key_sum * (1.0f / HEAD_WIDTH); key_squares += own_key[e] * own_key[e];
          }
          #pragma unroll
          for (int off = 16; off > 0; off >>= 1) {
            query_squares += __shfl_xor_sync(~0u, query_squares, off);
            key_squares += __shfl_xor_sync(~0u, key_squares, off);
          }
          const float query_scale = rsqrtf(query_squares * (1.0f / HEAD_WIDTH) + EPSILON);
          const float key_scale = rsqrtf(key_squares * (1.0f / HEAD_WIDTH) + EPSILON);
          const float per_root = 0.08838834764831845f; // 1 / sqrt(128)
          query[0] = round_bf16((query[0] * query_scale * query_weight.x + query_bias.x) * per_root);
          query[1] = round_bf16((query[1] * query_scale * query_weight.y + query_bias.y) * per_root);
          query[2] = round_bf16((query[2] * query_scale * query_weight.z + query_bias.z) * per_root);
          query[3] = round_bf16((query[3] * query_scale * query_weight.w + query_bias.w) * per_root);
          const uint2 new_key = make_uint2(
            pack(own_key[0] * key_scale * key_weight.x + key_bias.x, own_key[1] * key_scale * key_weight.y + key_bias.y),
            pack(own_key[2] * key_scale * key_weight.z + key_bias.z, own_key[3] * key_scale * key_weight.w + key_bias.w));
          store_pair(keys + group * HEAD_WIDTH, new_key.x, new_key.y);
          float score[16];
          #pragma unroll
          for (u32 j = 0; j < 16; j++) {
            score[j] = 0;
            if (j < GROUPS) {
              if (j == group) { key[j] = new_key; value[j] = v; }
              score[j] = query[0] * low(key[j].x) + query[1] * high(key[j].x) + query[2] * low(key[j].y) + query[3] * high(key[j].y);
            }
          }
          // Sums over the lanes, halving the list: lane i ends with the score of group i / 2.
          #pragma unroll
          for (int s = 8, off = 16; s >= 1; s >>= 1, off >>= 1) {
            const bool is_upper = lane & off;
            #pragma unroll
            for (int i = 0; i < 8; i++) {
              if (i < s) {
                const float sent = is_upper ? score[i] : score[i + s];
                const float kept = is_upper ? score[i + s] : score[i];
                score[i] = kept + __shfl_xor_sync(~0u, sent, off);
              }
            }
          }
          float own_score = score[0] + __shfl_xor_sync(~0u, score[0], 1);
          if ((lane >> 1) > group) own_score = -1e30f;
          float largest = own_score;
          #pragma unroll
          for (int off = 16; off > 1; off >>= 1) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, off));
          const float exponential = (lane >> 1) > group ? 0.0f : expf(own_score - largest);
          float total = exponential;
          #pragma unroll
          for (int off = 16; off > 1; off >>= 1) total += __shfl_xor_sync(~0u, total, off);
          const float probability = exponential / total;
          float mixed[4] = { 0, 0, 0, 0 };
          #pragma unroll
          for (u32 j = 0; j < GROUPS; j++) {
            const float p = __shfl_sync(~0u, probability, 2 * j);
            mixed[0] += p * low(value[j].x); mixed[1] += p * high(value[j].x);
            mixed[2] += p * low(value[j].y); mixed[3] += p * high(value[j].y);
          }
          store_pair(slot + SLOT_ATTENDED + (u64)row * WIDTH + head * HEAD_WIDTH + 4 * lane, pack(mixed[0], mixed[1]), pack(mixed[2], mixed[3]));
        }

        MARK(10)
        // The projection, and the residual stream's first sum.
        {
          const float own_bias = thread < 64 ? from_bf16((const u16*)BLOCK_POINTER(layer, PROJ_B) + own_column) : 0.0f;
          const u16* attended = slot + SLOT_ATTENDED;
          #pragma unroll
          for (int tile = 0; tile < TILES; tile++) {
            float gate[2] = { 0, 0 };
            #pragma unroll
            for (int half = 0; half < 2; half++) {
              const u32 row = tile * 16 + half * 8 + own_row;
              if (thread < 64 && row < ROWS) gate[half] = from_bf16(modulation + row * modulation_row + 2 * WIDTH + own_column);
            }
            if (tile == 0) await_first(attended + 64 * warp, lane);
            uint4 a[2][2];
            #pragma unroll
            for (int half = 0; half < 2; half++) {
              const bool is_half = tile * 2 + half < HALVES;
              const u32 row = tile * 16 + half * 8 + g;
              receive(a[half], attended + (u64)row * WIDTH + 64 * warp + 8 * t, is_half && row < ROWS);
            }
            __syncwarp();
            MARK(11)
            if (tile == 0) gate_wait(FULL(1), uses[1] & 1);
            MARK(12)
            float sums[1][4];
            product<1, 2>(sums, a, shared + PROJ_AT, ROW_BYTES, 64 * warp, lane);
            #pragma unroll
            for (int half = 0; half < 2; half++) {
              if (tile * 2 + half >= HALVES) break;
              if (tile + half > 0) sync_workers();
              const float total = add_parts<1>(sums, narrow_sums, half, warp, lane) + own_bias;
              if (warp == WARPS - 1 && tile * 2 + half == HALVES - 1) {
                if (layer == DEPTH - 1 && classifies) bring(1, pointers[AT_CLASSIFIERS + 2 * group], 8);
                else if (has_next) bring(1, BLOCK_POINTER(next_layer, PROJ_W), 8);
              }
              if (thread < 64) {
                const u32 row = tile * 16 + half * 8 + own_row;
                const float value = residual[tile * 2 + half] += gate[half] * total;
                const float next = __shfl_down_sync(~0u, value, 1);
                if (row < ROWS && (thread & 1) == 0) store_word(slot + SLOT_MIDDLE + (u64)row * WIDTH + own_column, pack(value, next));
              }
            }
          }
          MARK(13)
          uses[1]++;
        }
      }

      // The MLP's second product, and the residual stream's second sum.
      {
        const float own_bias = thread < 64 ? from_bf16((const u16*)BLOCK_POINTER(layer, FC2_B) + own_column) : 0.0f;
        const u16* hidden = slot + SLOT_HIDDEN;
        #pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
          float gate[2] = { 0, 0 };
          #pragma unroll
          for (int half = 0; half < 2; half++) {
            const u32 row = tile * 16 + half * 8 + own_row;
            if (thread < 64 && row < ROWS) gate[half] = from_bf16(modulation + row * modulation_row + 5 * WIDTH + own_column);
          }
          if (tile == 0) await_first(hidden + 256 * warp, lane);
          uint4 a[2][8];
          #pragma unroll
          for (int half = 0; half < 2; half++) {
            const bool is_half = tile * 2 + half < HALVES;
            const u32 row = tile * 16 + half * 8 + g;
            receive(a[half], hidden + (u64)row * HIDDEN + 256 * warp + 8 * t, is_half && row < ROWS);
          }
          __syncwarp();
          MARK(14)
          if (tile == 0) gate_wait(FULL(3), uses[3] & 1);
          MARK(15)
          float sums[1][4];
          product<1, 8>(sums, a, shared + FC2_AT, LONG_ROW_BYTES, 256 * warp, lane);
          #pragma unroll
          for (int half = 0; half < 2; half++) {
            if (tile * 2 + half >= HALVES) break;
            if (tile + half > 0) sync_workers();
            const float total = add_parts<1>(sums, narrow_sums, half, warp, lane) + own_bias;
            if (warp == WARPS - 1 && tile * 2 + half == HALVES - 1 && has_next)
              bring(3, BLOCK_POINTER(next_layer, FC2_W), 8);
            if (thread < 64) {
              const u32 row = tile * 16 + half * 8 + own_row;
              const float value = residual[tile * 2 + half] += gate[half] * total;
              const float next = __shfl_down_sync(~0u, value, 1);
              if (row < ROWS && (thread & 1) == 0) store_word(slot + SLOT_OUTPUT + (u64)row * WIDTH + own_column, pack(value, next));
            }
          }
        }
        MARK(16)
        uses[3]++;
      }
    }

    // Final norms, modulation and classifier, by the blocks that have symbols.
    u32* logit_words = (u32*)(board + BOARD_LOGITS) + (u64)group * ROWS * SYMBOLS;
    if (classifies) {
      const u16* source = board + (u64)SLOT_SIZE * (group * DEPTH + DEPTH - 1) + SLOT_OUTPUT;
      const float* norm_weight = (const float*)pointers[AT_FINAL_NORM];
      const float* norm_bias = (const float*)pointers[AT_FINAL_NORM + 1];
      const u16* final_scale = (const u16*)pointers[AT_FINAL] + (u64)group * 2 * WIDTH;
      const u32 symbol = block * 8 + (thread & 7);
      const float bias = thread < 64 ? from_bf16((const u16*)pointers[AT_CLASSIFIERS + 2 * group + 1] + symbol) : 0.0f;
      const u32 k = 64 * warp + 8 * t;
      #pragma unroll
      for (int tile = 0; tile < TILES; tile++) {
        const bool has_upper = tile * 2 + 1 < HALVES;
        uint4 shift[2][2], scale[2][2];
        float x[2][16];
        #pragma unroll
        for (int half = 0; half < 2; half++) {
          const u32 row = tile * 16 + half * 8 + g;
          #pragma unroll
          for (int i = 0; i < 2; i++) {
            const u16* own = final_scale + (u64)row * GROUPS * 2 * WIDTH + k + 32 * i;
            scale[half][i] = row < ROWS ? __ldg((const uint4*)own) : make_uint4(0, 0, 0, 0);
            shift[half][i] = row < ROWS ? __ldg((const uint4*)(own + WIDTH)) : make_uint4(0, 0, 0, 0);
          }
        }
        if (tile == 0) await_first(source + 64 * warp, lane);
        #pragma unroll
        for (int half = 0; half < 2; half++) {
          const u32 row = tile * 16 + half * 8 + g;
          uint4 pieces[2];
          receive(pieces, source + (u64)row * WIDTH + k, row < ROWS);
          unpack(pieces[0], x[half]);
          unpack(pieces[1], x[half] + 8);
        }
        Statistics statistic[2] = {};
        statistics(x, stats, statistic, warp, lane, has_upper);
        #pragma unroll
        for (int i = 0; i < 2; i++) {
          float weight[8], offset[8];
          load_floats(norm_weight + k + 32 * i, weight);
          load_floats(norm_bias + k + 32 * i, offset);
          #pragma unroll
          for (int half = 0; half < 2; half++) {
            #pragma unroll
            for (int e = 0; e < 8; e++)
              x[half][8 * i + e] = (x[half][8 * i + e] - statistic[half].mean) * statistic[half].scale * weight[e] + offset[e];
          }
        }
        statistics(x, more_stats, statistic, warp, lane, has_upper);
        uint4 a[2][2];
        #pragma unroll
        for (int half = 0; half < 2; half++) {
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
        if (tile == 0) gate_wait(FULL(1), uses[1] & 1);
        float sums[1][4];
        product<1, 2>(sums, a, shared + PROJ_AT, ROW_BYTES, 64 * warp, lane);
        #pragma unroll
        for (int half = 0; half < 2; half++) {
          if (tile * 2 + half >= HALVES) break;
          if (half > 0) sync_workers();
          const float total = add_parts<1>(sums, narrow_sums, half, warp, lane) + bias;
          if (warp == WARPS - 1 && tile * 2 + half == HALVES - 1 && group + 1 < GROUPS)
            bring(1, BLOCK_POINTER(0, PROJ_W), 8);
          const u32 row = tile * 16 + half * 8 + own_row;
          if (thread < 64 && row < ROWS) {
            logits_out[((u64)row * GROUPS + group) * SYMBOLS + symbol] = total;
            store_word(logit_words + row * SYMBOLS + symbol, total == total ? __float_as_uint(total) : 0x7fc00000u);
          }
        }
      }
      uses[1]++;
    }
    MARK(17)

    // The draw, by every block for itself: a warp takes a row.
    for (u32 row = warp; row < ROWS; row += WARPS) {
      const float* noise = (const float*)pointers[AT_NOISE] + ((u64)group * ROWS + row) * SYMBOLS;
      float best = -__int_as_float(0x7f800000);
      int chosen = 0;
      for (u32 symbol = lane; symbol < SYMBOLS; symbol += 32) {
        const float own_noise = IS_GREEDY ? 0.0f : __ldg(noise + symbol);
        u32 word;
        for (u32 polls = 0; (word = load_word(logit_words + row * SYMBOLS + symbol)) == EMPTY; polls++) if (polls > MOST_POLLS) give_up();
        const float score = IS_GREEDY ? __uint_as_float(word) : __uint_as_float(word) / temperature + own_noise;
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
    MARK(18)
  }
#ifdef PROFILE
  if (lane < STAGES && block % 16 == 0) logits_out[((block / 16) * WARPS + warp) * STAGES + lane] = spent[lane];
#endif
}
`;
