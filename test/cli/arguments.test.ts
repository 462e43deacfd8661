// What a command line means, and what is said of one that means nothing.
import { describe, expect, it } from 'vitest'
import {
  asUsageError,
  count,
  duration,
  PORT_FLAGS,
  parse,
  portOptions,
  UsageError,
} from '../../src/cli/arguments.js'
import { guardPort } from '../../src/index.js'

const options = (...args: string[]) => portOptions(parse(args, PORT_FLAGS))

describe('the command line', () => {
  it('takes ports, times, addresses and exceptions', () => {
    expect(
      options(
        '-p',
        '80,81',
        '--port',
        '8000',
        '-d',
        '10s',
        '--address',
        '10.0.0.0/8',
        '--except',
        '::1',
      ),
    ).toEqual({
      port: [80, 81, 8_000],
      detectWithin: 10_000,
      address: ['10.0.0.0/8'],
      except: ['::1'],
    })
  })

  it('gets the name of the flag in the errors of the library', () => {
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{ port: 80, detectWithin: 2_000 }, /^--detect-within = 2000 ms is too small: .* 4000 ms/],
      [{ port: 80, detectWithin: Number.NaN }, /^--detect-within must be /],
      [{ port: 80, address: ['x'] }, /^--address must be /],
      [{ port: 80, stallTimeout: 1 }, /^--stall-timeout must be /],
    ]
    for (const [given, message] of wrong) {
      let thrown: unknown
      try {
        guardPort(given as never)
      } catch (error) {
        thrown = asUsageError(error)
      }
      expect(thrown).toBeInstanceOf(UsageError)
      expect((thrown as Error).message).toMatch(message)
    }
  })

  it('takes a time with its unit', () => {
    expect(['500ms', '30s', '1.5m', '1h'].map((text) => duration(text, '--x'))).toEqual([
      500, 30_000, 90_000, 3_600_000,
    ])
  })

  const wrong: [string[], RegExp][] = [
    [[], /--port is missing/],
    [['--port', '0'], /1 to 65535, not '0'/],
    [['--port', '80x'], /not '80x'/],
    [['--port', ''], /not ''/],
    [['--port', '80', '--detect-within', '30'], /its unit, as in 500ms/],
    [['--port', '80', '--detect-within', '-1s'], /--detect-within/],
    [['--prt', '80'], /Unknown option --prt. The options are: --port/],
    [['--port'], /argument missing/],
    [['80'], /Unexpected argument '80'/],
  ]
  for (const [args, message] of wrong) {
    it(`refuses ${JSON.stringify(args)}`, () => {
      expect(() => options(...args)).toThrow(UsageError)
      expect(() => options(...args)).toThrow(message)
    })
  }

  it('refuses counts that are none', () => {
    for (const text of ['0', '-1', '1.5', 'x'])
      expect(() => count(text, '--count')).toThrow(UsageError)
    expect(count('12', '--count')).toBe(12)
  })
})
