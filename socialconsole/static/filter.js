/* Narrows a list of choices while somebody types. Without it the field stays hidden and the list is whole. */
(() => {
  for (const field of document.querySelectorAll('input[data-filter]')) {
    const rows = document.getElementById(field.dataset.filter).children;
    field.closest('[hidden]')?.removeAttribute('hidden');
    field.addEventListener('input', () => {
      const wanted = field.value.trim().toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    // Enter in a search field must not send the form around it.
    field.addEventListener('keydown', (e) => { if (e.key === 'Enter') e.preventDefault(); });
  }
})();
