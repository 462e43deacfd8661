// The page: three files beside this module, both in the sources and in the package. It loads
// nothing from elsewhere.
import { existsSync, readFileSync } from 'node:fs'
import type { NodeResponse } from '../adapters/node.js'
import { TcpSseError } from '../internal/errors.js'

/**
 * The URL of this module, or `undefined` in esbuild's CommonJS output. It is a constant because
 * bundlers resolve files in `new URL(…, import.meta.url)`.
 */
const HERE: string | undefined = import.meta.url

/** The page's files, by the last segment of the path. */
const FILES: Readonly<Record<string, { file: string; type: string }>> = {
  '': { file: 'index.html', type: 'text/html; charset=utf-8' },
  'dashboard.css': { file: 'dashboard.css', type: 'text/css; charset=utf-8' },
  'dashboard.js': { file: 'dashboard.js', type: 'text/javascript; charset=utf-8' },
}

/** Scripts, styles and connections of this origin only, and no frames. */
const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
}

export function isPage(name: string): boolean {
  return Object.hasOwn(FILES, name)
}

/** Answers with one of the page's files. */
export function sendPage(res: NodeResponse, name: string): void {
  const { file, type } = FILES[name] as { file: string; type: string }
  const body = contents(file)
  answer(
    res,
    200,
    { ...HEADERS, 'content-type': type, 'content-length': String(body.length) },
    body,
  )
}

/** Sends a short text. */
export function sendText(
  res: NodeResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const type = 'text/plain; charset=utf-8'
  answer(res, status, { ...HEADERS, 'content-type': type, ...headers }, Buffer.from(`${text}\n`))
}

function answer(
  res: NodeResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
): void {
  res.statusCode = status
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value)
  // Node omits the body of a response to HEAD.
  res.end(body)
}

const read = new Map<string, Buffer>()

function contents(file: string): Buffer {
  const known = read.get(file)
  if (known !== undefined) return known
  const body = fromDisk(file)
  read.set(file, body)
  return body
}

function fromDisk(file: string): Buffer {
  try {
    const source = new URL(`./public/dashboard/${file}`, HERE)
    const packaged = new URL(`./dashboard/${file}`, HERE)
    return readFileSync(existsSync(source) ? source : packaged)
  } catch (cause) {
    throw new TcpSseError(
      'ERR_DASHBOARD_FILES',
      `The dashboard cannot read ${file}. If the application is bundled, tell the bundler that tcp-sse is external.`,
      { cause },
    )
  }
}
