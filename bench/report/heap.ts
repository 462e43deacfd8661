// Memory that is really in use, measured after a full collection.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// The flag can be given to V8 late, so no script needs `--expose-gc` on its command line.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What a process holds, bytes. `external` counts buffers, which are outside of V8's heap. */
export interface Memory {
  readonly heap: number
  readonly external: number
  readonly resident: number
}

/** Collects until nothing more is freed. Buffers are freed only a turn after their owners. */
export async function memoryInUse(): Promise<Memory> {
  for (let round = 0; round < 4; round++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const { heapUsed, external, rss } = process.memoryUsage()
  return { heap: heapUsed, external, resident: rss }
}
