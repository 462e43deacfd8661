// The native call of a broadcast, with everything that TypeScript never passes, too.
import { describe, expect, it } from 'vitest'
import { addon, fdOf } from '../../src/native/binding.js'
import { cleanup } from '../support/cleanup.js'
import { type SocketPair, socketPair } from '../support/socket-pair.js'
import { waitFor } from '../support/wait-for.js'

const pair = (): Promise<SocketPair> => socketPair(cleanup)

const NONE = -1
const EBADF = 9
const EAGAIN = 11

describe.runIf(addon !== undefined)('sendToEach', () => {
  const sendToEach = addon?.sendToEach as NonNullable<typeof addon>['sendToEach']
  const bytes = Buffer.from('event')

  it('sends to the rows of its slice only, leaves out those without a descriptor, and counts', async () => {
    const all = [await pair(), await pair(), await pair(), await pair()]
    const fds = Int32Array.from(all, ({ near }) => fdOf(near))
    fds[2] = NONE
    const shorts = new Int32Array(7)
    expect(sendToEach(fds, 1, 4, bytes, shorts)).toBe(2)
    expect(shorts[0]).toBe(0)
    await waitFor('the bytes', () => [1, 3].every((row) => all[row]?.received() === 'event'))
    expect([all[0]?.received(), all[2]?.received()]).toEqual(['', ''])
  })

  it('lists rows that took a part or nothing, with what it was or why', async () => {
    const [full, part, fine] = [await pair(), await pair(), await pair()]
    full.far.pause()
    part.far.pause()
    const large = Buffer.alloc(16 * 1024 * 1024)
    const shorts = new Int32Array(9)
    expect(sendToEach(Int32Array.of(fdOf(part.near)), 0, 1, large, shorts)).toBe(0)
    expect([shorts[0], shorts[1]]).toEqual([1, 0])
    expect(shorts[2]).toBeGreaterThan(0)
    expect(shorts[2]).toBeLessThan(large.length)
    const fds = Int32Array.of(fdOf(full.near), fdOf(fine.near), 1_000_000)
    // Until both kernels' buffers are full.
    await waitFor('a row that takes nothing', () => {
      sendToEach(fds, 0, 1, large, shorts)
      return sendToEach(fds, 0, 3, bytes, shorts) === 1
    })
    expect([...shorts.subarray(0, 5)]).toEqual([2, 0, -EAGAIN, 2, -EBADF])
  })

  it('refuses what would read or write beyond an array', () => {
    const fds = new Int32Array(2)
    const shorts = new Int32Array(5)
    const wrong: Parameters<typeof sendToEach>[] = [
      [fds, 0, 3, bytes, shorts],
      [fds, -1, 1, bytes, shorts],
      [fds, 1, 0, bytes, shorts],
      [fds, 0, 2, bytes, new Int32Array(4)],
      [fds, 0, 1.5, bytes, shorts],
      [[0] as never, 0, 1, bytes, shorts],
      [fds, 0, 1, 'event' as never, shorts],
      [fds, 0, 1, bytes, new Float64Array(5) as never],
    ]
    for (const args of wrong) expect(() => sendToEach(...args)).toThrow(TypeError)
  })
})
