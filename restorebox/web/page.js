// Preview of chosen files, and comparison of input and output. Listeners are on the document, since Gradio replaces
// elements. Nothing is sent anywhere: previews show the files that the browser has.
(() => {
  const one = (id) => document.getElementById(id)
  const limit = 8
  let urls = []

  const show = (files) => {
    const place = one('preview')
    if (!place) return
    urls.forEach(URL.revokeObjectURL)
    urls = []
    place.replaceChildren()
    for (const file of [...files].slice(0, limit)) {
      const item = document.createElement('figure')
      const caption = document.createElement('figcaption')
      const url = URL.createObjectURL(file)
      const video = file.type.startsWith('video/')
      const image = document.createElement(video ? 'video' : 'img')
      urls.push(url)
      caption.textContent = file.name
      if (video) { image.controls = true; image.ariaLabel = `Preview of ${file.name}` }
      else image.alt = `Preview of ${file.name}`
      image.onload = () => { caption.textContent = `${file.name}, ${image.naturalWidth}x${image.naturalHeight}` }
      image.onerror = () => { image.remove(); caption.textContent = `${file.name}: this browser shows no preview of it` }
      image.src = url
      item.append(image, caption)
      place.append(item)
    }
  }
  window.restoreboxChanged = (files) => { if (!files || !files.length) show([]) }
  document.addEventListener('change', (event) => {
    if (event.target.matches?.('#source input[type=file]')) show(event.target.files)
    if (event.target.name === 'view') arrange()
  }, true)
  document.addEventListener('drop', (event) => {
    if (event.target.closest?.('#source') && event.dataTransfer) show(event.dataTransfer.files)
  }, true)

  const arrange = () => {
    const side = document.querySelector('#viewer input[name=view]:checked')?.value === 'side'
    one('stage').classList.toggle('side', side)
    one('edge').closest('label').hidden = side
    for (const pane of document.querySelectorAll('#stage > div')) {
      if (side) pane.tabIndex = 0 // its arrow keys scroll
      else pane.removeAttribute('tabindex')
    }
    for (const image of document.querySelectorAll('#stage img')) {
      image.style.width = side ? `${image.naturalWidth / window.devicePixelRatio}px` : ''
    }
  }
  const move = (percent) => {
    const edge = Math.min(100, Math.max(0, percent))
    one('edge').value = edge
    one('stage').style.setProperty('--edge', `${edge}%`)
  }
  const choose = (button) => {
    for (const each of document.querySelectorAll('#results button')) each.setAttribute('aria-pressed', each === button)
    for (const which of ['before', 'after']) {
      const image = one(which)
      image.onload = arrange
      image.alt = `${button.textContent}, ${which}`
      image.src = button.dataset[which]
    }
    one('scale').textContent = button.dataset.scale
    one('viewer').hidden = false
    one('empty').hidden = true
  }
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('#results button')
    if (button) choose(button)
    if (event.target.id === 'fullscreen') one('viewer').requestFullscreen()
  })
  document.addEventListener('input', (event) => { if (event.target.id === 'edge') move(event.target.valueAsNumber) })
  const drag = (event) => {
    const stage = event.target.closest?.('#stage:not(.side)')
    if (!stage || !event.buttons) return
    const box = stage.getBoundingClientRect()
    move((100 * (event.clientX - box.left)) / box.width)
  }
  document.addEventListener('pointerdown', drag)
  document.addEventListener('pointermove', drag)
  document.addEventListener('scroll', (event) => { // both panes show the same part
    const pane = event.target
    if (!pane.matches?.('#stage.side > div')) return
    for (const other of document.querySelectorAll('#stage > div')) {
      if (other !== pane) { other.scrollLeft = pane.scrollLeft; other.scrollTop = pane.scrollTop }
    }
  }, true)
  // Gradio's list of models stays open when the focus leaves it, and covers the strength
  document.addEventListener('focusout', (event) => {
    const input = event.target
    if (!input.matches?.('#model input')) return
    setTimeout(() => {
      const escape = new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })
      if (document.activeElement !== input) input.dispatchEvent(escape)
    }, 100)
  })
  // what axe reports of Gradio's elements: names without the visible text, and buttons around what takes the focus
  const repair = () => {
    for (const each of document.querySelectorAll('.upload-container, [title="common.upload"]')) {
      const text = each.innerText.replace(/\s+/g, ' ').trim() || 'Choose more files'
      if (each.getAttribute('aria-label') !== text) each.setAttribute('aria-label', text)
    }
    for (const each of document.querySelectorAll('button:has(button)')) {
      each.setAttribute('role', 'group')
      each.tabIndex = -1
    }
    document.querySelectorAll('.toast-header[role]').forEach((each) => {
      each.removeAttribute('role')
      each.removeAttribute('tabindex')
    })
  }
  new MutationObserver(() => {
    repair()
    const first = document.querySelector('#results button')
    if (first && !document.querySelector('#results button[aria-pressed=true]')) choose(first)
  }).observe(document, { childList: true, subtree: true })
})()
