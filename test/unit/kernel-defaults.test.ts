import { describe, expect, it } from 'vitest'
import { defaultsThatBreakThePromise } from '../../src/native/kernel-defaults.js'

const warn = (settings: Record<string, number>) =>
  defaultsThatBreakThePromise((name) => settings[name])

describe('defaultsThatBreakThePromise', () => {
  it("has nothing to say of the kernel's own defaults, nor where there are none", () => {
    expect(warn({ tcp_retries2: 15, tcp_rto_max_ms: 120_000 })).toEqual([])
    expect(warn({})).toEqual([])
  })

  it('names each setting that would end living peers, with its value', () => {
    expect(warn({ tcp_retries2: 5 })).toEqual([expect.stringContaining('tcp_retries2 is 5')])
    expect(warn({ tcp_retries2: 3, tcp_rto_max_ms: 1_000 })).toHaveLength(2)
  })
})
