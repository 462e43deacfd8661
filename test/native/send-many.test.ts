// The native call of the fast path, with everything that TypeScript never passes, too.
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { describe, expect, it } from 'vitest'
import { addon, fdOf } from '../../src/native/binding.js'
import { cleanup } from '../support/cleanup.js'
import { type SocketPair, socketPair } from '../support/socket-pair.js'
import { waitFor } from '../support/wait-for.js'

const pair = (): Promise<SocketPair> => socketPair(cleanup)

const NONE = -1
const EBADF = 9
const EAGAIN = 11
const EPIPE = 32
const ENOTSOCK = 88

describe.runIf(addon !== undefined)('sendMany', () => {
  const sendMany = addon?.sendMany as NonNullable<typeof addon>['sendMany']
  const slab = Buffer.from('0123456789')

  it('sends chains of pieces, shared ones too, and counts', async () => {
    const [a, b] = [await pair(), await pair()]
    const pieces = Int32Array.of(0, 2, 2, 4, 3, NONE, 2, 2, 3, 9, 1, NONE)
    const rows = Int32Array.of(fdOf(a.near), 0, 0, fdOf(b.near), 1, 0)
    expect(sendMany(slab, pieces, 4, rows, 2)).toBe(0)
    expect([rows[2], rows[5]]).toEqual([5, 3])
    await waitFor('the bytes', () => a.received() === '01239' && b.received() === '456')
  })

  it('sends more pieces than one call takes', async () => {
    const { near, received } = await pair()
    const count = 1_000
    const pieces = new Int32Array(count * 3)
    for (let i = 0; i < count; i++)
      pieces.set([(i * 7) % 10, 1, i + 1 < count ? i + 1 : NONE], i * 3)
    const rows = Int32Array.of(fdOf(near), 0, 0)
    expect(sendMany(slab, pieces, count, rows, 1)).toBe(0)
    const expected = Array.from({ length: count }, (_, i) => (i * 7) % 10).join('')
    await waitFor('the bytes', () => received() === expected)
  })

  it('reports what is wrong with one row and sends the others', async () => {
    const { near, far, received } = await pair()
    const gone = await pair()
    gone.near.end()
    await once(gone.near, 'finish')
    const file = openSync(devNull, 'w')
    cleanup.push(() => closeSync(file))
    const pieces = Int32Array.of(0, 10, NONE)
    const rows = Int32Array.of(
      -1,
      0,
      7,
      1_000_000,
      0,
      7,
      file,
      0,
      7,
      fdOf(gone.near),
      0,
      7,
      fdOf(near),
      0,
      7,
    )
    expect(sendMany(slab, pieces, 1, rows, 5)).toBe(4)
    expect([rows[2], rows[5]]).toEqual([-EBADF, -EBADF])
    expect([rows[8], rows[11], rows[14]]).toEqual([-ENOTSOCK, -EPIPE, 10])
    await waitFor('the bytes', () => received() === '0123456789')
    far.destroy()
  })

  it('stops where the kernel takes no more', async () => {
    const { near, far, received } = await pair()
    far.pause()
    const large = Buffer.alloc(1 << 20, 'x')
    const pieces = Int32Array.of(0, large.length, NONE)
    const rows = Int32Array.of(fdOf(near), 0, 0)
    let sent = 0
    await waitFor('a full buffer', () => {
      sendMany(large, pieces, 1, rows, 1)
      const result = rows[2] as number
      if (result > 0) sent += result
      return result === -EAGAIN
    })
    expect(sent).toBeGreaterThan(0)
    far.resume()
    await waitFor('what it has taken', () => received().length >= sent)
    expect(received().length).toBe(sent)
  })

  const bad: [string, unknown[]][] = [
    ['nothing', []],
    ['a negative offset', [slab, Int32Array.of(-1, 1, NONE), 1, Int32Array.of(0, 0, 0), 1]],
    ['a piece beyond the slab', [slab, Int32Array.of(5, 6, NONE), 1, Int32Array.of(0, 0, 0), 1]],
    [
      'an overflowing piece',
      [slab, Int32Array.of(2 ** 31 - 1, 2 ** 31 - 1, NONE), 1, Int32Array.of(0, 0, 0), 1],
    ],
    ['an empty piece', [slab, Int32Array.of(0, 0, NONE), 1, Int32Array.of(0, 0, 0), 1]],
    ['a chain that goes round', [slab, Int32Array.of(0, 1, 0), 1, Int32Array.of(0, 0, 0), 1]],
    ['a chain that leaves the array', [slab, Int32Array.of(0, 1, 1), 1, Int32Array.of(0, 0, 0), 1]],
    ['a row without pieces', [slab, Int32Array.of(0, 1, NONE), 1, Int32Array.of(0, NONE, 0), 1]],
    ['more pieces than there are', [slab, Int32Array.of(0, 1, NONE), 2, Int32Array.of(0, 0, 0), 1]],
    ['more rows than there are', [slab, Int32Array.of(0, 1, NONE), 1, Int32Array.of(0, 0, 0), 2]],
    ['a negative count', [slab, Int32Array.of(0, 1, NONE), 1, Int32Array.of(0, 0, 0), -1]],
    ['other arrays', [slab, new Float64Array(3), 1, Int32Array.of(0, 0, 0), 1]],
  ]
  for (const [title, args] of bad) {
    it(`refuses ${title}`, () => {
      expect(() => (sendMany as (...all: unknown[]) => number)(...args)).toThrow(TypeError)
    })
  }
})
