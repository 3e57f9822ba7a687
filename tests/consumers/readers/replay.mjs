// What a page gets when Playwright answers its requests from a HAR file: every request of the file is made once.
import { readFileSync } from 'node:fs'
import { launch } from './browser.mjs'

const [, , harPath, browserPath] = process.argv
// The entries of an archive stand beside it, with their bodies: Node.js reads no zip.
const { entries } = JSON.parse(readFileSync(harPath.replace(/\.zip$/, ''), 'utf8')).log

// Runs in the page: makes one request, and tells of the answer or that there was none.
async function send({ method, url, headers, postData }) {
  // Who makes a multipart body again makes another boundary.
  const [, boundary] = /^multipart\/.*boundary=([^;]+)/.exec(postData?.mimeType) ?? []
  const again = text => boundary ? text.replaceAll(boundary, 'another-boundary') : text
  const bytes = text => Uint8Array.from(again(atob(text)), character => character.charCodeAt(0))
  const body = postData && (postData.encoding === 'base64' ? bytes(postData.text) : new TextEncoder().encode(again(postData.text)))
  try {
    const pairs = headers.map(({ name, value }) => [name, unescape(encodeURIComponent(again(value)))])
    const response = await fetch(url, { method, body, headers: pairs })
    const read = new Uint8Array(await response.arrayBuffer())
    return {
      status: response.status,
      headers: [...response.headers],
      body: btoa(Array.from(read, byte => String.fromCharCode(byte)).join('')),
    }
  } catch (error) {
    return { error: String(error) }
  }
}

const browser = await launch(browserPath)
try {
  const context = await browser.newContext()
  await context.routeFromHAR(harPath, { notFound: 'abort' })
  const answers = []
  const pages = new Map()
  for (const { request } of entries) {
    const { origin } = new URL(request.url)
    if (!pages.has(origin)) {
      const page = await context.newPage()
      await page.route(`${origin}/`, route => route.fulfill({ contentType: 'text/html', body: '' }))
      await page.goto(`${origin}/`)
      pages.set(origin, page)
    }
    answers.push(await pages.get(origin).evaluate(send, request))
  }
  console.log(JSON.stringify({ answers, cookies: await context.cookies() }))
} finally {
  await browser.close()
}
