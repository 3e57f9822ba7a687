// What the load test would send that har-to-k6 makes of a HAR file: its script, run here with a k6 that only takes notes.
import { build } from 'esbuild'
import { readFileSync } from 'node:fs'
import converter from 'har-to-k6'

const K6 = {
  k6: `
    export const sleep = () => {}
    export const group = (name, run) => {
      globalThis.group = name
      run()
    }
  `,
  'k6/http': `
    const send = (method, url, body = null, { headers = {}, cookies = {} } = {}) => {
      const sent = { group: globalThis.group, method, url, body, headers, cookies }
      globalThis.sent.push(sent)
      return {}
    }
    const http = { request: send, get: (url, params) => send('GET', url, null, params), url: String.raw }
    for (const [name, method] of [['post', 'POST'], ['put', 'PUT'], ['patch', 'PATCH'], ['del', 'DELETE'],
                                  ['options', 'OPTIONS'], ['head', 'HEAD']])
      http[name] = (url, body, params) => send(method, url, body, params)
    export default http
  `,
  'k6/encoding': "export const b64decode = text => Buffer.from(text, 'base64').toString('latin1')",
}
// k6's own library of forms, which its scripts take from the network.
const FORM_DATA = `
  export class FormData {
    parts = []
    append(name, value) {
      this.parts.push([name, value])
    }
    body() {
      return { boundary: this.boundary, parts: this.parts }
    }
  }
`

const k6 = {
  name: 'k6',
  setup(builder) {
    builder.onResolve({ filter: /^(k6|https:)/ }, ({ path }) => ({ path, namespace: 'k6' }))
    builder.onLoad({ filter: /.*/, namespace: 'k6' }, ({ path }) => ({ contents: K6[path] ?? FORM_DATA }))
  },
}

console.warn = () => {}
const { main } = await converter.liHARToK6Script(JSON.parse(readFileSync(process.argv[2], 'utf8')))
const { outputFiles } = await build({ stdin: { contents: main }, plugins: [k6], bundle: true, format: 'esm', write: false })
globalThis.sent = []
const script = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`)
script.default()
console.log(JSON.stringify(globalThis.sent))
