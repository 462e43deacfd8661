// A checkout's files, and the pages around its scripts that WPT's own server makes up: `x.any.js` is run by `x.any.html`,
// `x.any.worker.html`, …
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const SUITE = 'eventsource'

interface Meta {
  readonly title: string | undefined
  readonly scripts: readonly string[]
  readonly globals: ReadonlySet<string>
}

/** The `// META: key=value` lines at the top of a script. */
function metaOf(script: string): Meta {
  const all = [...script.matchAll(/^\/\/ META: (\w+)=(.*)$/gm)]
  const values = (key: string): string[] =>
    all.filter(([, name]) => name === key).map(([, , value = '']) => value)
  const globals = (values('global')[0] ?? 'window,dedicatedworker').split(',')
  return {
    title: values('title')[0],
    scripts: values('script'),
    globals: new Set(
      globals.flatMap((name) =>
        name === 'worker' ? ['dedicatedworker', 'sharedworker', 'serviceworker'] : [name],
      ),
    ),
  }
}

const ENDINGS: Readonly<Record<string, string>> = {
  window: '.any.html',
  dedicatedworker: '.any.worker.html',
  sharedworker: '.any.sharedworker.html',
  serviceworker: '.any.serviceworker.html',
}

/** The paths of all test pages of a checkout's suite. */
export function testPages(checkout: string): string[] {
  const files = readdirSync(join(checkout, SUITE), { recursive: true, encoding: 'utf8' }).sort()
  return files
    .filter((file) => !file.includes('resources/'))
    .flatMap((file) => {
      const path = `/${SUITE}/${file}`
      if (/\.html?$/.test(file)) return [path]
      if (/\.(window|worker)\.js$/.test(file)) return [path.replace(/js$/, 'html')]
      if (!file.endsWith('.any.js')) return []
      const { globals } = metaOf(readFileSync(join(checkout, path), 'utf8'))
      return [...globals]
        .filter((name) => name in ENDINGS)
        .map((name) => path.replace(/\.any\.js$/, ENDINGS[name] as string))
    })
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

function page(title: string | undefined, body: string): string {
  return `<!doctype html>
<meta charset="utf-8">
<title>${escaped(title ?? '')}</title>
<script src="/resources/testharness.js"></script>
<script src="/resources/testharnessreport.js"></script>
<div id="log"></div>
${body}`
}

const scriptTag = (src: string): string => `<script src="${src}"></script>`

/** Which kind of page stands for which script. */
const STARTERS: readonly [ending: string, source: string, start: (name: string) => string][] = [
  [
    '.any.worker.html',
    '.any.js',
    (name) => `fetch_tests_from_worker(new Worker('${name}.any.worker.js'))`,
  ],
  [
    '.any.sharedworker.html',
    '.any.js',
    (name) => `fetch_tests_from_worker(new SharedWorker('${name}.any.worker.js'))`,
  ],
  [
    '.any.serviceworker.html',
    '.any.js',
    (name) => `promise_setup(async () => {
  const scope = './${name}-scope/'
  await (await navigator.serviceWorker.getRegistration(scope))?.unregister()
  const { installing } = await navigator.serviceWorker.register('${name}.any.worker.js', { scope })
  fetch_tests_from_worker(installing)
})`,
  ],
  [
    '.worker.html',
    '.worker.js',
    (name) => `fetch_tests_from_worker(new Worker('${name}.worker.js'))`,
  ],
]

const WINDOW = ['.any.html', '.window.html'] as const

/** A page or script that is in no file; `undefined` where the path means none. */
export function madeUp(checkout: string, path: string): string | undefined {
  const read = (ending: string, source: string): { meta: Meta; name: string } => {
    const file = path.slice(0, -ending.length) + source
    return {
      meta: metaOf(readFileSync(join(checkout, file), 'utf8')),
      name: path.slice(path.lastIndexOf('/') + 1, -ending.length),
    }
  }
  for (const ending of WINDOW) {
    if (!path.endsWith(ending)) continue
    const source = ending.replace('html', 'js')
    const { meta, name } = read(ending, source)
    const scripts = [...meta.scripts, `${name}${source}`].map(scriptTag).join('\n')
    const global = '{ isWindow: () => true, isWorker: () => false, isShadowRealm: () => false }'
    return page(meta.title, `<script>self.GLOBAL = ${global}</script>\n${scripts}`)
  }
  for (const [ending, source, start] of STARTERS) {
    if (!path.endsWith(ending)) continue
    const { meta, name } = read(ending, source)
    return page(meta.title, `<script>${start(name)}</script>`)
  }
  if (path.endsWith('.any.worker.js')) {
    const { meta, name } = read('.any.worker.js', '.any.js')
    const scripts = ['/resources/testharness.js', ...meta.scripts, `${name}.any.js`]
    return [
      'self.GLOBAL = { isWindow: () => false, isWorker: () => true, isShadowRealm: () => false }',
      `self.META_TITLE = ${JSON.stringify(meta.title ?? '')}`,
      ...scripts.map((script) => `importScripts(${JSON.stringify(script)})`),
      'done()',
    ].join('\n')
  }
  return undefined
}
