// Debian's Chromium, without a screen and without anything that would call home.
import { chromium } from 'playwright-core'

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export const launch = executablePath => chromium.launch({ executablePath, args: ARGUMENTS })
