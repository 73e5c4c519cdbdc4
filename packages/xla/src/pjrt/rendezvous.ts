/** How several processes find each other: filled in by `openRendezvous`. */
export type Rendezvous = {
  /** This process's number, from 0. */
  readonly rank: number;
  /** Number of processes. */
  readonly size: number;
  /** Addresses of C functions, for `PJRT_Client_Create`. */
  readonly callbacks: {
    readonly kv_get_callback: bigint;
    readonly kv_try_get_callback: bigint;
    readonly kv_put_callback: bigint;
  };
  close(): Promise<void>;
};
