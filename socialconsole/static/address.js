/* Asks an address of the console from this browser and reports what it said; without this file a link shows the same. */
(() => {
  document.addEventListener('click', async (event) => {
    const link = event.target.closest('[data-ask]'), form = document.getElementById('report');
    if (!link || !form || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    if (link.dataset.busy) return;
    link.dataset.busy = '1';
    link.setAttribute('aria-busy', 'true');
    const options = { headers: { Accept: 'application/json' }, signal: AbortSignal.timeout(8000) };
    try {
      const there = (await (await fetch(link.href, options)).json()).url;
      form.elements.answer.value = await (await fetch(there, { ...options, credentials: 'omit' })).text();
      form.requestSubmit();
    } catch {
      location.href = link.href; // the browser's own page says best why it does not get there
    } finally {
      delete link.dataset.busy;
      link.removeAttribute('aria-busy');
    }
  });
})();
