// Parses the words of a command line into options, and explains each mistake.
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { TcpSseError } from '../internal/errors.js'
import type { PortGuardOptions } from '../port-guard/options.js'

/** A mistake in the command line. The message is for its author. */
export class UsageError extends Error {}

/** The options of a command, as `parseArgs` takes them. */
export type Flags = NonNullable<ParseArgsConfig['options']>

/** The values that `parseArgs` returns. */
export type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>

/** Options of all commands for a port. */
export const PORT_FLAGS = {
  port: { type: 'string', short: 'p', multiple: true },
  'detect-within': { type: 'string', short: 'd' },
  address: { type: 'string', multiple: true },
  except: { type: 'string', multiple: true },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Flags

/** @throws {UsageError} */
export function parse(args: readonly string[], flags: Flags): Values {
  try {
    return parseArgs({ args: [...args], options: flags, strict: true, allowPositionals: false })
      .values
  } catch (error) {
    throw new UsageError(messageOf(error, Object.keys(flags)))
  }
}

/** Node's message, with the list of options if the option is unknown. */
function messageOf(error: unknown, known: readonly string[]): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const name = /'([^']+)'/.exec(message)?.[1] ?? ''
    return `Unknown option ${name}. The options are: ${known.map((each) => `--${each}`).join(', ')}.`
  }
  if (code === 'ERR_PARSE_ARGS_UNEXPECTED_POSITIONAL') return `${message.split('. ')[0]}.`
  return message
}

/** Converts flags to the options of a guard. @throws {UsageError} */
export function portOptions(values: Values): PortGuardOptions {
  const { port } = values
  if (port === undefined)
    throw new UsageError('--port is missing. Give the TCP port of the server.')
  const detectWithin = duration(values['detect-within'], '--detect-within')
  return {
    port: list(port)
      .flatMap((text) => text.split(','))
      .map((text) => portOf(text, '--port')),
    ...(detectWithin === undefined ? {} : { detectWithin }),
    address: list(values.address).flatMap((text) => text.split(',')),
    except: list(values.except).flatMap((text) => text.split(',')),
  }
}

const list = (value: Values[string]): string[] => [value ?? []].flat().map(String)

/** @throws {UsageError} */
export function portOf(text: string, flag: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535)
    throw new UsageError(`${flag} must be a TCP port, 1 to 65535, not '${text}'.`)
  return port
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/**
 * Milliseconds. The unit is required, because a bare number could mean seconds or milliseconds.
 * @throws {UsageError}
 */
export function duration(value: Values[string], flag: string): number | undefined {
  if (value === undefined) return undefined
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(value)) ?? []
  if (digits === undefined) {
    throw new UsageError(
      `${flag} must be a time with its unit, as in 500ms, 30s or 2m, not '${value}'.`,
    )
  }
  return Number(digits) * (UNITS[unit] as number)
}

/** An integer of at least 1. @throws {UsageError} */
export function count(value: Values[string], flag: string): number | undefined {
  if (value === undefined) return undefined
  if (!/^[1-9]\d{0,8}$/.test(String(value))) {
    throw new UsageError(`${flag} must be an integer of at least 1, not '${value}'.`)
  }
  return Number(value)
}

/**
 * Turns the library's error for an option into a usage error. The library's option names match the
 * flags, in camel case, and the message gets the flag in their place.
 */
export function asUsageError(error: unknown): unknown {
  if (!(error instanceof TcpSseError)) return error
  const wrong = error.code.startsWith('ERR_OPTION_') || error.code === 'ERR_DETECT_WITHIN_TOO_SMALL'
  if (!wrong) return error
  const flag = (error.option ?? '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  const name = new RegExp(`^(?:PortGuardOptions\\.)?${error.option}\\b`)
  return new UsageError(error.message.replace(name, `--${flag}`))
}
