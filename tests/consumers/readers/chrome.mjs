// What Chrome's developer tools understand of a HAR file: their own importer, bundled and run here.
import { build } from 'esbuild'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const FRONT_END = 'chrome-devtools-frontend/front_end'
const SOURCE = `
  export * as HAR from '${FRONT_END}/models/har/har.js'
  export * as SDK from '${FRONT_END}/core/sdk/sdk.js'
  export { calculateRequestTimeRanges } from '${FRONT_END}/models/network_time_calculator/RequestTimeRanges.js'
`
// The one module that the package lacks, because their build generates it: the languages of the user interface.
const LOCALES = `
  export const LOCALES = ['en-US'], BUNDLED_LOCALES = ['en-US'], DEFAULT_LOCALE = 'en-US'
  export const LOCAL_FETCH_PATTERN = '', REMOTE_FETCH_PATTERN = ''
`

const generated = {
  name: 'generated',
  setup(builder) {
    builder.onResolve({ filter: /\/locales\.js$/ }, () => ({ path: 'locales', namespace: 'generated' }))
    builder.onLoad({ filter: /.*/, namespace: 'generated' }, () => ({ contents: LOCALES }))
  },
}

async function importDevTools() {
  const directory = mkdtempSync(join(tmpdir(), 'devtools-'))
  const outfile = join(directory, 'devtools.mjs')
  try {
    await build({
      stdin: { contents: SOURCE, resolveDir: import.meta.dirname },
      plugins: [generated],
      bundle: true,
      format: 'esm',
      platform: 'node',
      logLevel: 'error',
      outfile,
    })
    return await import(pathToFileURL(outfile))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const pairs = items => items.map(({ name, value }) => [name, value])

function cookieFacts(cookie) {
  return {
    name: cookie.name(),
    value: cookie.value(),
    path: cookie.path() ?? null,
    domain: cookie.domain() || null,
    expiresMs: cookie.expires() ?? null,
    httpOnly: cookie.httpOnly(),
    secure: cookie.secure(),
  }
}

async function facts(request, { SDK, calculateRequestTimeRanges }) {
  const content = await request.requestContentData()
  const page = SDK.PageLoad.PageLoad.forRequest(request)
  const ranges = calculateRequestTimeRanges(request, 0)
  return {
    url: request.url(),
    method: request.requestMethod,
    requestHeaders: pairs(request.requestHeaders()),
    requestBody: await request.requestFormData(),
    requestCookies: request.includedRequestCookies().map(({ cookie }) => cookieFacts(cookie)),
    status: request.statusCode,
    statusText: request.statusText,
    protocol: request.protocol,
    responseHeaders: pairs(request.responseHeaders),
    responseCookies: request.responseCookies.map(cookieFacts),
    mimeType: request.mimeType ?? null,
    content: content.createdFromBase64 ? content.base64 : content.text,
    isBase64: content.createdFromBase64,
    resourceSize: request.resourceSize,
    transferSize: request.transferSize,
    pageStartMs: page?.startTime ?? null,
    pageLoadTime: page?.loadTime ?? null,
    startMs: request.issueTime() * 1000,
    durationMs: request.duration * 1000,
    phasesMs: Object.fromEntries(ranges.map(({ name, start, end }) => [name, (end - start) * 1000])),
    remoteAddress: request.remoteAddress(),
    connectionId: request.connectionId,
    resourceType: request.resourceType().name(),
    initiator: request.initiator(),
    events: request.eventSourceMessages(),
    frames: request.frames(),
  }
}

const devTools = await importDevTools()
const { log } = new devTools.HAR.HARFormat.HARRoot(JSON.parse(readFileSync(process.argv[2], 'utf8')))
const requests = devTools.HAR.Importer.Importer.requestsFromHARLog(log)
console.log(JSON.stringify(await Promise.all(requests.map(request => facts(request, devTools)))))
