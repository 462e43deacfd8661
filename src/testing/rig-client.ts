// A client in a rig.

import type { ChildProcessHandle } from './child-process.js'
import type { TestClient } from './client.js'
import type { Reading, Received } from './reader.js'
import type { Fault, Path } from './routes.js'

/**
 * A client that the server sees as a separate host with its own address and kernel. It can truly
 * vanish. `vanish` and `comeBack` throw `ERR_RIG` if the path cannot be changed. The other methods
 * reject with `ERR_CHILD` if the process of the clients has ended.
 *
 * @example
 * const rig = createRig()
 * const client = await rig.connect(await rig.serve(new URL('./server.js', import.meta.url)))
 * client.vanish() // the server gets no FIN and no RST
 */
export class RigClient implements TestClient {
  /** Its number in the rig, for `rig.cut([…])`. */
  readonly number: number
  /** Its address, in the rig's own range: IPv4, or IPv6 if it was connected with family 6. */
  readonly address: string
  readonly #path: Path
  readonly #process: ChildProcessHandle
  readonly #index: number

  /** @internal */
  constructor(
    number: number,
    address: string,
    path: Path,
    peer: ChildProcessHandle,
    index: number,
  ) {
    this.number = number
    this.address = address
    this.#path = path
    this.#process = peer
    this.#index = index
  }

  received(): Promise<Received> {
    return this.#process.call('received', this.#index)
  }

  read(reading: Reading): Promise<void> {
    return this.#process.call('read', this.#index, reading)
  }

  stall(): Promise<void> {
    return this.read('never')
  }

  halfClose(): Promise<void> {
    return this.#process.call('halfClose', [this.#index])
  }

  reset(): Promise<void> {
    return this.#process.call('reset', [this.#index])
  }

  close(): Promise<void> {
    return this.#process.call('close', [this.#index])
  }

  /** Makes it vanish without FIN or RST: all packets from and to it are dropped on the path. */
  vanish(): Fault {
    return this.#path.cut([this.number])
  }

  /** Undoes `vanish`. */
  comeBack(): Fault {
    return this.#path.heal([this.number])
  }
}
